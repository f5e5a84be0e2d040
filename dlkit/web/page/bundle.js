// What the bundle says of its model, and the samples that it brings along.

/** {model: the facts of model.json, content: the file, samples: [{raw, expected}], by names of inputs and outputs}. */
export async function load() {
  const [facts, content, numbers] = await Promise.all([
    got("model.json").then((answer) => answer.json()),
    got("model.tflite").then(bytes),
    got("samples.bin").then(bytes),
  ]);
  return { facts, content, samples: Array.from({ length: facts.samples.count }, (_, row) => sample(facts, numbers, row)) };
}

async function got(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status}).`);
  return answer;
}

async function bytes(answer) {
  return new Uint8Array(await answer.arrayBuffer());
}

/** One sample: little-endian float32 at the places that the facts tell. */
function sample(facts, numbers, row) {
  const view = new DataView(numbers.buffer);
  const read = ({ start, size }) =>
    Float32Array.from({ length: size }, (_, place) => view.getFloat32(4 * (start + row * size + place), true));
  const all = (places) => Object.fromEntries(Object.entries(places).map(([name, place]) => [name, read(place)]));
  return { raw: all(facts.samples.raw), expected: all(facts.samples.expected) };
}
