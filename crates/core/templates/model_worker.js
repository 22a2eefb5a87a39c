// Answers the page's questions with the scorer, on a thread of its own. A question is { id, ask, ... }, an answer { id, given } or
// { id, error }. Questions do not depend on each other: each names its sequence.
"use strict";
let scorer;
let current = {};

// What a function of the scorer gives: bytes, or an error with its message.
function call(name, ...numbers) {
  const failed = scorer[name](...numbers);
  const bytes = new Uint8Array(scorer.memory.buffer, scorer.output(), scorer.output_bytes()).slice();
  if (failed) throw new Error(new TextDecoder().decode(bytes));
  return bytes;
}

function put(...parts) {
  let place = scorer.reserve(parts.reduce((sum, part) => sum + part.length, 0));
  for (const part of parts) {
    new Uint8Array(scorer.memory.buffer).set(part, place);
    place += part.length;
  }
}

const numbers = (bytes) => new Float64Array(bytes.buffer);

// Makes a sequence the current one and returns the number of its windows.
function take({ letters, stride }) {
  if (current.letters !== letters || current.stride !== stride) {
    current = {};
    put(new TextEncoder().encode(letters));
    current = { windows: numbers(call("sequence", stride))[0], letters, stride };
  }
  return current.windows;
}

const answers = {
  async load({ module, description, weights }) {
    const { instance } = await WebAssembly.instantiate(module);
    scorer = instance.exports;
    put(description, weights);
    return JSON.parse(new TextDecoder().decode(call("load", description.length)));
  },
  windows: take,
  score({ first, count, reverse, ...sequence }) {
    take(sequence);
    return numbers(call("score", first, count, reverse ? 1 : 0));
  },
  details({ index, ...sequence }) {
    take(sequence);
    return numbers(call("details", index));
  },
  gradients({ index, target, ...sequence }) {
    take(sequence);
    return numbers(call("gradients", index, target));
  },
  mutagenesis({ index, target, from, to, ...sequence }) {
    take(sequence);
    return numbers(call("mutagenesis", index, target, from, to));
  },
};

self.onmessage = async ({ data: { id, ask, ...rest } }) => {
  try {
    self.postMessage({ id, given: await answers[ask](rest) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
