// LiteRT.js: a model loaded once per backend, fed and read as arrays of float32.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

let ready;

/** Whether this browser has a GPU that WebGPU can use. */
export async function hasWebGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}

/** LiteRT's WebAssembly from a folder, loaded on the first call. */
function runtime(folder) {
  ready ??= loadLiteRt(folder);
  return ready;
}

/** A compiled model. Throws what LiteRT.js throws, if the backend cannot run the file. */
export class Model {
  static async load(content, backend, folder) {
    await runtime(folder);
    return new Model(await loadAndCompile(content, { accelerator: backend }));
  }

  constructor(compiled) {
    this.compiled = compiled;
    this.inputs = compiled.getInputDetails().map(plain);
    this.outputs = compiled.getOutputDetails().map(plain);
  }

  /** {name: Float32Array} for one sample → {name: Float32Array}; whole numbers are rounded for an int32 input. */
  async run(values) {
    const given = {};
    let computed = {};
    try {
      for (const { name, shape, dtype } of this.inputs) {
        const typed = dtype === "int32" ? Int32Array.from(values[name], Math.round) : values[name];
        given[name] = new Tensor(typed, shape);
      }
      computed = await this.compiled.run(given);
      const found = {};
      for (const [name, tensor] of Object.entries(computed)) {
        found[name] = Float32Array.from(await tensor.data());
      }
      return found;
    } finally {
      for (const tensor of [...Object.values(given), ...Object.values(computed)]) tensor.delete();
    }
  }

  /** Milliseconds of one run, the median of at most `count` that together take no longer than about `limitMs`. */
  async medianMs(values, count = 20, limitMs = 400) {
    const times = [];
    const end = performance.now() + limitMs;
    do {
      const start = performance.now();
      await this.run(values);
      times.push(performance.now() - start);
    } while (times.length < count && performance.now() < end);
    times.sort((a, b) => a - b);
    return { median: times[times.length >> 1], count: times.length };
  }

  delete() {
    this.compiled.delete();
  }
}

function plain(details) {
  return { name: details.name, dtype: details.dtype, shape: Array.from(details.shape) };
}
