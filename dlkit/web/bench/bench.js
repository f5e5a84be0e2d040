// Runs a file on every sample and posts what it answers; started by dlkit in a browser without a window.
// The page of a bundle runs its model through the same engine.js.

import { Model } from "./engine.js";

// LiteRT tells why in the console, and throws little more than that.
const told = [];
const print = console.error;
console.error = (...words) => {
  if (String(words[0]).includes("ERROR")) told.push(words.join(" "));
  print.call(console, ...words);
};

const job = await (await fetch("job.json")).json();

async function floats(name) {
  return new Float32Array(await (await fetch(name)).arrayBuffer());
}

async function post(name, body) {
  await fetch(name, { method: "POST", body });
}

/** The names by which dlkit calls the ends of a file: those of LiteRT.js where they are the same, else by place. */
function called(ends, names) {
  const known = new Set(ends.map((end) => end.name));
  return names.every((name) => known.has(name)) ? names : ends.map((end) => end.name);
}

async function answers() {
  const content = new Uint8Array(await (await fetch("model.tflite")).arrayBuffer());
  const model = await Model.load(content, job.backend, new URL("./litert/wasm/", location.href).href);
  const inputs = called(model.inputs, job.inputs);
  const outputs = called(model.outputs, job.outputs);
  const given = await Promise.all(job.inputs.map((_, place) => floats(`input-${place}`)));
  const found = job.outputs.map(() => []);
  for (let row = 0; row < job.count; row++) {
    const sample = {};
    inputs.forEach((name, place) => {
      const size = given[place].length / job.count;
      sample[name] = given[place].slice(row * size, (row + 1) * size);
    });
    const computed = await model.run(sample);
    outputs.forEach((name, place) => found[place].push(computed[name]));
  }
  for (const [place, rows] of found.entries()) await post(`output-${place}`, new Blob(rows));
}

try {
  await answers();
  await post("done", "");
} catch (error) {
  const why = told.map((line) => line.replace(/^.*?ERROR:? *(\[[^\]]*\])? */s, "")).filter(Boolean);
  await post("failed", [error?.message ?? error, ...why].join("; ").slice(0, 2000));
}
