// Scores and explains with the worker of pages that `export --format html` wrote, as a browser does.
// usage: node html_pages.mjs QUESTION.json [SCORER.wasm]
//        node html_pages.mjs --time PAGE.html SEQUENCES.fa
// The question has "pages", each with the path of a "page", "sequences" with "name" and "letters", and a "stride". Prints a list in
// JSON with, for each page, "scores" of all windows, one after another, and of the first sequence its "gradients" and the
// effects "mutagenesis" of its first four bases, each of the first output. Another scorer may stand in for that of the pages. With
// --time it prints how many sequences are scored in a second of one core's time.
import fs from "node:fs";
import zlib from "node:zlib";

const [, , question, ...more] = process.argv;
const scorer = question === "--time" ? undefined : more[0];

// The function that asks a page's worker, with the network loaded, and what can be explained.
const opened = async (page) => {
  const html = fs.readFileSync(page, "utf8");
  const part = (id) => {
    const open = `id="${id}">`;
    const start = html.indexOf(open) + open.length;
    return html.slice(start, html.indexOf("</script>", start)).trim();
  };
  const waiting = new Map();
  const self = {
    postMessage({ id, given, error }) {
      const { resolve, reject } = waiting.get(id);
      if (error === undefined) resolve(given);
      else reject(new Error(error));
    },
  };
  new Function("self", part("worker"))(self);
  let asked = 0;
  const ask = (name, rest) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject });
      self.onmessage({ data: { id: asked, ask: name, ...rest } });
    });
  const module = scorer ? fs.readFileSync(scorer) : zlib.gunzipSync(Buffer.from(part("scorer"), "base64"));
  const targets = await ask("load", { module, description: Buffer.from(part("description")), weights: Buffer.from(part("weights"), "base64") });
  return { ask, targets };
};

const answer = async ({ page, sequences, stride }) => {
  const { ask, targets } = await opened(page);
  const scores = [];
  for (const { letters } of sequences) {
    const count = await ask("windows", { letters, stride });
    scores.push(...(await ask("score", { letters, stride, first: 0, count, reverse: false })));
  }
  const first = { letters: sequences[0].letters, stride, index: 0, target: 0 };
  const gradients = [...(await ask("gradients", first))];
  const mutagenesis = [...(await ask("mutagenesis", { ...first, from: 0, to: 4 }))];
  const details = [...(await ask("details", first))];
  let wrong = "";
  try {
    await ask("windows", { letters: "ACGTEACGT", stride });
  } catch (error) {
    wrong = error.message;
  }
  return { targets, scores, gradients, mutagenesis, details, wrong };
};

const time = async (page, fasta) => {
  const { ask } = await opened(page);
  const records = fs.readFileSync(fasta, "utf8").split(">").slice(1);
  const letters = records.map((record) => record.split("\n").slice(1).join("").trim());
  const score = (letters) => ask("score", { letters, stride: letters.length, first: 0, count: 1, reverse: false });
  for (const one of letters.slice(0, 200)) await score(one); // compiled by then
  const before = process.cpuUsage().user;
  for (const one of letters) await score(one);
  console.log(`${Math.round(letters.length / ((process.cpuUsage().user - before) / 1e6))} sequences a second`);
};

if (question === "--time") {
  await time(...more);
} else {
  const answers = [];
  for (const page of JSON.parse(fs.readFileSync(question, "utf8"))) answers.push(await answer(page));
  // NaN, where there is no score, is null in JSON.
  console.log(JSON.stringify(answers));
}
