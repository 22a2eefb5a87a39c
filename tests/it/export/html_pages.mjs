// Scores and explains with the worker of pages that `export --format html` wrote, as a browser does.
// usage: node html_pages.mjs QUESTION.json [SCORER.wasm]
// The question has "pages", each with the path of a "page", "sequences" with "name" and "letters", and a "stride". Prints a list in
// JSON with, for each page, "scores" of all windows, one after another, and of the first sequence its "gradients" and the
// effects "mutagenesis" of its first four bases, each of the first output. Another scorer may stand in for that of the pages.
import fs from "node:fs";
import zlib from "node:zlib";

const [, , question, scorer] = process.argv;

const answer = async ({ page, sequences, stride }) => {
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

const answers = [];
for (const page of JSON.parse(fs.readFileSync(question, "utf8"))) answers.push(await answer(page));
// NaN, where there is no score, is null in JSON.
console.log(JSON.stringify(answers));
