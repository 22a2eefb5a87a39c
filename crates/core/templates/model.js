// The page: what is typed is scored by the worker and drawn here. All text that comes from sequences is set as text, never as HTML.
"use strict";
(() => {
const at = (id) => document.getElementById(id);
const network = JSON.parse(at("description").textContent);
const card = network.card;
const length = card.length;
// Windows that are scored at a time: enough to keep the worker busy, few enough to stop soon.
const AT_ONCE = Math.max(1, Math.min(256, Math.floor(16384 / length)));
// Windows of pasted sequences that are listed.
const MOST_ROWS = 1000;
const isBinary = card.task === "binary";
const isProfile = card.task === "profile";
const isProbability = ["binary", "multiclass", "multilabel"].includes(card.task);
const columns = isBinary ? [card.positive] : card.classes;
const titles = columns.map((name) => (isBinary ? "probability of " + name : isProfile ? "log counts of " + name : name));

const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const unzipped = async (bytes) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
// Enough digits to read; tables that are saved have all of them.
const short = (value) => (Number.isNaN(value) ? "none" : Math.abs(value) < 1e-4 && value !== 0 ? value.toExponential(2) : value.toPrecision(5).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, ""));
const digits = (value) => (Number.isNaN(value) ? "NA" : String(Number(value.toPrecision(8))));
const counted = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");

// Questions to the worker.
const waiting = new Map();
const worker = new Worker(URL.createObjectURL(new Blob([at("worker").textContent], { type: "text/javascript" })));
let asked = 0;
worker.onmessage = ({ data: { id, given, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(given);
  else reject(new Error(error));
};
const ask = (name, rest = {}) => new Promise((resolve, reject) => {
  waiting.set(++asked, { resolve, reject });
  worker.postMessage({ id: asked, ask: name, ...rest });
});

const fail = (message) => {
  at("error").textContent = message;
  at("error").hidden = !message;
};
const stride = () => Math.max(1, Math.floor(Number(at("stride").value)) || length);

// Records of FASTA, or one bare sequence; what is no letter in them is named with its line.
const records = (text) => {
  const found = [];
  let record;
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line.startsWith(">")) {
      record = { name: line.slice(1).split(/\s/)[0] || "record_" + (found.length + 1), parts: [] };
      found.push(record);
    } else if (line.trim()) {
      if (!record) found.push((record = { name: "sequence", parts: [] }));
      record.parts.push(line.replace(/\s+/g, ""));
    }
  }
  return found.map(({ name, parts }) => ({ name, letters: parts.join("") }));
};

const calledOf = (scores) => {
  if (scores.some(Number.isNaN)) return "";
  if (isBinary && card.threshold != null) return scores[0] >= card.threshold ? card.positive : card.classes.find((name) => name !== card.positive);
  if (card.task === "multiclass") return card.classes[scores.indexOf(Math.max(...scores))];
  return "";
};

// Scores of all windows of a record, some at a time; `goesOn` says whether anybody still wants them.
const scoreRecord = async ({ name, letters }, step, goesOn, take) => {
  const sequence = { letters, stride: step };
  const windows = await ask("windows", sequence);
  for (let first = 0; first < windows && goesOn(); first += AT_ONCE) {
    const count = Math.min(AT_ONCE, windows - first);
    const scores = await ask("score", { ...sequence, first, count, reverse: false });
    for (let i = 0; i < count; i++) {
      const start = (first + i) * step;
      take({ name, sequence, index: first + i, start, end: Math.min(start + length, letters.length), scores: [...scores.subarray(i * columns.length, (i + 1) * columns.length)] });
    }
  }
};

// What was typed.
let turn = 0;
let rows = [];
let shown;
const typed = async () => {
  const own = ++turn;
  const goesOn = () => own === turn;
  fail("");
  const found = records(at("letters").value);
  const scored = [];
  let more = false;
  let padded = 0;
  for (const record of found) {
    if (!goesOn()) return;
    if (scored.length >= MOST_ROWS) { more = true; break; }
    try {
      await scoreRecord(record, stride(), () => goesOn() && scored.length < MOST_ROWS, (row) => scored.push(row));
      padded += record.letters.length < length;
    } catch (error) {
      if (goesOn()) fail((found.length > 1 ? record.name + ": " : "") + error.message);
    }
  }
  if (!goesOn()) return;
  rows = scored;
  at("state").textContent = rows.length === 0 ? "" : counted(found.length, "sequence") + ", " + counted(rows.length, "window") + (padded ? ". " + (padded === 1 ? "One is" : padded + " are") + " shorter than " + length + " bp and scored between unknown bases, as predict --pad-short does" : "") + (more || rows.length >= MOST_ROWS ? ". Only the first are shown; score the rest as a file." : ".");
  list();
  if (rows.length > 0) await select(rows[0]);
  else at("of-window").hidden = true;
};

const list = () => {
  const results = at("results");
  results.replaceChildren();
  if (rows.length === 0) return;
  const table = element("table");
  table.append(element("caption", "Scores of windows", { class: "unseen" }));
  const head = table.createTHead().insertRow();
  const heads = ["name", "start", "end", ...titles];
  if (isProbability && card.task !== "multilabel") heads.push("class");
  heads.push("");
  for (const [i, title] of heads.entries()) head.append(element("th", title, { scope: "col", ...(i > 0 && i < 3 + titles.length ? { class: "number" } : {}) }));
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    line.append(element("th", row.name, { scope: "row" }));
    for (const value of [row.start.toLocaleString("en"), row.end.toLocaleString("en")]) line.append(element("td", value, { class: "number" }));
    for (const score of row.scores) line.append(element("td", short(score), { class: "number", "data-score": digits(score) }));
    if (isProbability && card.task !== "multilabel") line.append(element("td", calledOf(row.scores)));
    const show = element("button", "Show", { type: "button", "aria-label": "Show " + row.name + " from " + row.start });
    line.insertCell().append(show);
    // For those who point; the button is for all.
    line.onclick = () => shown !== row && select(row);
    row.line = line;
  }
  const scroll = element("div", undefined, { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Scores" });
  scroll.append(table);
  results.append(scroll);
};

// One window, with both strands, what is predicted along it, and its bases.
const select = async (row) => {
  const goesOn = () => shown === row;
  if (shown && shown.line) shown.line.removeAttribute("aria-selected");
  shown = row;
  if (row.line) row.line.setAttribute("aria-selected", "true");
  const [other] = [await ask("score", { ...row.sequence, first: row.index, count: 1, reverse: true })];
  if (!goesOn()) return;
  at("of-window").hidden = false;
  at("window").textContent = row.name + ", " + row.start.toLocaleString("en") + " to " + row.end.toLocaleString("en");
  const table = element("table");
  table.append(element("caption", card.strands === "single" ? "The network reads the strand that it is given; the other one has a score of its own." : "The network reads both strands itself, so both have the same score."));
  const head = table.createTHead().insertRow();
  for (const [i, title] of ["", "as given", "reverse complement", ""].entries()) head.append(element("th", title, { scope: "col", ...(i === 1 || i === 2 ? { class: "number" } : {}) }));
  const body = table.createTBody();
  titles.forEach((title, i) => {
    const line = body.insertRow();
    line.append(element("th", title, { scope: "row" }));
    line.append(element("td", short(row.scores[i]), { class: "number" }), element("td", short(other[i]), { class: "number" }));
    const last = line.insertCell();
    if (isProbability && !Number.isNaN(row.scores[i])) last.append(element("span", undefined, { class: "share", style: "width:" + (row.scores[i] * 8).toFixed(2) + "rem", "aria-hidden": "true" }));
    if (isProfile) last.textContent = short(Math.expm1(row.scores[i])) + " counts expected";
    if (isBinary && card.threshold != null && calledOf(row.scores)) last.append(" " + calledOf(row.scores) + " (threshold " + short(card.threshold) + ")");
  });
  const scroll = element("div", undefined, { class: "scroll" });
  scroll.append(table);
  at("scores").replaceChildren(scroll);
  await along(row, goesOn);
  await explain(row);
};

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const prepared = (canvas, width, height) => {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.clearRect(0, 0, width, height);
  return context;
};

// Bins or profiles: a line for each track.
const along = async (row, goesOn) => {
  at("along").replaceChildren();
  if (!card.bins && !card.profile) return;
  const values = await ask("details", { ...row.sequence, index: row.index });
  if (!goesOn()) return;
  const names = card.profile ? card.profile.tracks : card.classes;
  const each = values.length / names.length;
  const bp = card.bins ? card.bins.bp : 1;
  const first = row.start + Math.floor((Math.min(length, row.end - row.start) - each * bp) / 2);
  at("along").append(element("h3", card.profile ? "Expected counts at each base" : "Values of each bin of " + bp + " bp"));
  names.forEach((name, track) => {
    const own = values.subarray(track * each, (track + 1) * each);
    const [low, high] = [Math.min(0, ...own), Math.max(...own, 1e-12)];
    const width = Math.max(260, at("along").clientWidth);
    const height = 110;
    const canvas = element("canvas", undefined, { role: "img", "aria-label": name + ": from " + short(Math.min(...own)) + " to " + short(Math.max(...own)) + ", highest at " + (first + own.indexOf(Math.max(...own)) * bp).toLocaleString("en") });
    at("along").append(element("p", name, { class: "kicker" }), canvas);
    const context = prepared(canvas, width, height);
    const y = (value) => height - 18 - ((value - low) / (high - low || 1)) * (height - 32);
    context.fillStyle = color("--accent");
    for (let i = 0; i < each; i++) context.fillRect((i / each) * width, Math.min(y(own[i]), y(0)), Math.max(width / each - (each < 200 ? 1 : 0), 0.7), Math.max(Math.abs(y(0) - y(own[i])), 0.7));
    context.fillStyle = color("--soft");
    context.font = "11px system-ui, sans-serif";
    context.fillText(short(high), 0, 10);
    context.fillText(first.toLocaleString("en"), 0, height - 4);
    const end = (first + each * bp).toLocaleString("en");
    context.fillText(end, width - context.measureText(end).width, height - 4);
  });
};

// Gradient x input, and what mutagenesis found beside it.
let explained;
const explain = async (row) => {
  const target = Number(at("target").value);
  at("said").textContent = "Explaining …";
  try {
    const given = await ask("gradients", { ...row.sequence, index: row.index, target });
    if (shown !== row || Number(at("target").value) !== target) return;
    explained = { row, target, importance: given.slice(1), changes: undefined };
    at("said").textContent = at("target").selectedOptions[0].textContent + " of this window: " + short(given[0]);
    draw();
    strongest();
  } catch (error) {
    at("said").textContent = "";
    fail(error.message);
  }
};
const lettersOf = ({ row }) => row.sequence.letters.slice(row.start, row.end).toUpperCase().replaceAll("U", "T");

const draw = () => {
  if (!explained) return;
  const { importance, changes, row } = explained;
  const letters = lettersOf(explained);
  const canvas = at("bases");
  const each = 11;
  const room = canvas.parentElement.clientWidth - 20;
  const across = Math.min(letters.length, Math.max(10, Math.floor((room - 46) / (each * 10)) * 10));
  const logo = 66;
  const cells = changes ? 4 * 9 + 6 : 0;
  const height = logo + cells + 20;
  const lines = Math.ceil(letters.length / across);
  const context = prepared(canvas, 46 + across * each, lines * height);
  const most = Math.max(...importance.map(Math.abs), 1e-12);
  // The line of 0 lies where most of the letters need it.
  const [up, down] = [Math.max(0, ...importance), Math.max(0, ...importance.map((value) => -value))];
  const zero = (logo - 8) * (up / (up + down || 1)) + 2;
  const unit = (logo - 8) / (up + down || 1);
  const colors = { A: color("--a"), C: color("--c"), G: color("--g"), T: color("--t") };
  const [more, less, soft, line] = ["--more", "--less", "--soft", "--line"].map(color);
  let largest = 1e-12;
  if (changes) for (const change of changes) largest = Math.max(largest, Math.abs(change));
  for (let i = 0; i < letters.length; i++) {
    const [x, top] = [46 + (i % across) * each, Math.floor(i / across) * height];
    if (i % across === 0) {
      context.fillStyle = soft;
      context.font = "11px system-ui, sans-serif";
      context.fillText((row.start + i).toLocaleString("en"), 0, top + zero + 4);
      context.fillStyle = line;
      context.fillRect(46, top + zero, Math.min(across, letters.length - i) * each, 1);
      if (changes) [..."ACGT"].forEach((base, at) => { context.fillStyle = soft; context.font = "9px system-ui, sans-serif"; context.fillText(base, 34, top + logo + 9 * at + 8); });
    }
    const value = importance[i];
    const size = Math.abs(value) * unit;
    context.fillStyle = colors[letters[i]] || soft;
    context.save();
    // A letter of the font's height of capitals is stretched; below the line it stands as it is, from the line down.
    context.translate(x + each / 2, value < 0 ? top + zero + 1 + size : top + zero);
    context.scale(1, Math.max(size, 0.5) / 8.8);
    context.font = "bold 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
    context.textAlign = "center";
    context.fillText(letters[i], 0, 0);
    context.restore();
    if (changes) {
      for (let base = 0; base < 4; base++) {
        const change = changes[i * 4 + base];
        const [left, y] = [x + 1, top + logo + 9 * base];
        if (letters[i] === "ACGT"[base]) {
          context.fillStyle = soft;
          context.fillRect(left + 3, y + 3, 3, 3);
          continue;
        }
        context.globalAlpha = 0.06 + 0.94 * Math.min(1, Math.abs(change) / largest);
        context.fillStyle = change > 0 ? more : less;
        context.fillRect(left, y, each - 1, 8);
        context.globalAlpha = 1;
      }
    }
  }
  canvas.setAttribute("aria-label", "Gradient times input of " + counted(letters.length, "base") + ", at most " + short(most) + "; the strongest are in the table below");
};

const strongest = () => {
  const { importance, row } = explained;
  const letters = lettersOf(explained);
  const order = [...letters].map((_, i) => i).sort((a, b) => Math.abs(importance[b]) - Math.abs(importance[a])).slice(0, 8);
  const table = element("table");
  table.append(element("caption", "The strongest bases"));
  const head = table.createTHead().insertRow();
  for (const title of ["position", "base", "gradient x input"]) head.append(element("th", title, { scope: "col", ...(title === "base" ? {} : { class: "number" }) }));
  const body = table.createTBody();
  for (const i of order) {
    const line = body.insertRow();
    line.append(element("td", (row.start + i).toLocaleString("en"), { class: "number" }), element("td", letters[i]), element("td", short(importance[i]), { class: "number" }));
  }
  const scroll = element("div", undefined, { class: "scroll" });
  scroll.append(table);
  at("strongest").replaceChildren(scroll);
};

at("mutate").onclick = async () => {
  const own = explained;
  if (!own || own.changes) return;
  const step = Math.max(1, Math.floor(AT_ONCE / 3));
  const bases = own.row.end - own.row.start;
  const changes = new Float64Array(4 * bases);
  for (let from = 0; from < bases; from += step) {
    if (explained !== own) return;
    at("said").textContent = "In-silico mutagenesis, " + Math.round((100 * from) / bases) + "% …";
    const to = Math.min(bases, from + step);
    try {
      changes.set(await ask("mutagenesis", { ...own.row.sequence, index: own.row.index, target: own.target, from, to }), 4 * from);
    } catch (error) {
      fail(error.message);
      return;
    }
  }
  own.changes = changes;
  at("said").textContent = "In-silico mutagenesis of " + counted(bases, "base") + ".";
  if (explained === own) draw();
};

const save = (text, name) => {
  const link = element("a", undefined, { href: URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
at("save-bases").onclick = () => {
  if (!explained) return;
  const { row, importance, changes } = explained;
  const lines = ["name\tposition\tbase\tgradient_x_input" + (changes ? "\tA\tC\tG\tT" : "")];
  [...lettersOf(explained)].forEach((base, i) => {
    const more = changes ? "\t" + [0, 1, 2, 3].map((to) => digits(changes[4 * i + to])).join("\t") : "";
    lines.push(row.name + "\t" + (row.start + i) + "\t" + base + "\t" + digits(importance[i]) + more);
  });
  save(lines.join("\n") + "\n", "bases.tsv");
};

// A file, in parts, with the rows that predict writes.
let ofFile = 0;
const scoreFile = async (file) => {
  const own = ++ofFile;
  const goesOn = () => own === ofFile;
  fail("");
  at("of-file").hidden = false;
  at("save").hidden = true;
  at("cancel").hidden = false;
  at("file-name").textContent = file.name;
  const bar = at("progress");
  bar.value = 0;
  const header = columns.length === 1 && !isProfile ? ["score"] : columns.map((name) => (isProfile ? "predicted_log_counts_" : "score_") + name);
  const lines = [["name", "start", "end", "strand", ...header].join("\t")];
  let shorter = 0;
  try {
    const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    if (start[0] === 0x1f && start[1] === 0x8b) throw new Error(file.name + " is compressed, expected FASTA as text; unpack it");
    const found = records(await file.text());
    if (found.length === 0) throw new Error(file.name + " holds no sequence, expected FASTA");
    const began = performance.now();
    let windows = 0;
    for (const [i, record] of found.entries()) {
      if (!goesOn()) return;
      shorter += record.letters.length < length;
      try {
        await scoreRecord(record, stride(), goesOn, (row) => {
          windows++;
          lines.push([row.name, row.start, row.end, "+", ...row.scores.map(digits)].join("\t"));
        });
      } catch (error) {
        throw new Error(record.name + ": " + error.message);
      }
      bar.value = (i + 1) / found.length;
      const seconds = (performance.now() - began) / 1000;
      at("scored").textContent = counted(windows, "window") + (seconds > 1 ? ", " + Math.round(windows / seconds).toLocaleString("en") + " a second" : "");
    }
    if (!goesOn()) return;
    if (shorter) at("scored").textContent += "; " + counted(shorter, "sequence") + " shorter than " + length + " bp scored between unknown bases";
    at("save").hidden = false;
    at("save").onclick = () => save(lines.join("\n") + "\n", file.name.replace(/\.[^.]*$/, "") + ".scores.tsv");
  } catch (error) {
    if (goesOn()) fail(error.message);
  }
  if (goesOn()) at("cancel").hidden = true;
};
at("cancel").onclick = () => {
  ofFile++;
  at("cancel").hidden = true;
  at("scored").textContent += " – stopped";
};
at("file").onchange = () => {
  if (at("file").files[0]) scoreFile(at("file").files[0]);
  at("file").value = "";
};

// A file of few bases goes into the field, others are scored as files.
const FEW = 20000;
const letters = at("letters");
for (const kind of ["dragenter", "dragover"]) letters.addEventListener(kind, (event) => { event.preventDefault(); letters.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) letters.addEventListener(kind, () => letters.classList.remove("over"));
letters.addEventListener("drop", async (event) => {
  const file = event.dataTransfer.files[0];
  if (!file) return;
  event.preventDefault();
  if (file.size > FEW) return scoreFile(file);
  letters.value = await file.text();
  typed();
});

let pause;
const soon = () => {
  clearTimeout(pause);
  pause = setTimeout(typed, 120);
};
letters.addEventListener("input", soon);
at("stride").addEventListener("input", soon);
at("target").onchange = () => shown && explain(shown);
at("example").onclick = () => {
  letters.value = Array.from({ length }, () => "ACGT"[Math.floor(Math.random() * 4)]).join("");
  typed();
};
let drawn = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(drawn);
  drawn = requestAnimationFrame(draw);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

const start = async () => {
  try {
    const module = await unzipped(fromBase64(at("scorer").textContent.trim()));
    const description = new TextEncoder().encode(at("description").textContent);
    const targets = await ask("load", { module, description, weights: fromBase64(at("weights").textContent.trim()) });
    targets.forEach((name, i) => at("target").append(element("option", name, { value: String(i) })));
    if (isBinary) at("target").value = String(card.classes.indexOf(card.positive));
    at("of-target").hidden = targets.length < 2;
    at("state").textContent = "";
    if (letters.value.trim()) await typed();
  } catch (error) {
    at("state").textContent = "";
    fail("The network cannot be loaded: " + error.message);
  }
};
start();
})();
