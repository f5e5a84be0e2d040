// The page of a bundle: takes an input, runs the model in this browser, shows the answer.

import { sampleButtons, tell } from "./answers.js";
import { load } from "./bundle.js";
import { clear, decoded, drawable, pixels, show } from "./drawing.js";
import { hasWebGpu, Model } from "./engine.js";
import { countOf, InputError, networkInput, numbersIn, pixelsOf, rawImage, rawSample } from "./preprocessing.js";

const WASM = new URL("./litert/wasm/", import.meta.url).href;
const NAMES = { wasm: "WebAssembly", webgpu: "WebGPU" };
const at = (id) => document.getElementById(id);
const places = { answer: at("answer"), bars: at("bars"), made: at("made") };

let bundle, model;
let last = Promise.resolve(); // runs are one after the other
let newest = 0;

/** Do one thing after what was asked before; what goes wrong is told in the page. */
function inTurn(work) {
  last = last.then(work).then(() => complain(""), (error) => complain(error));
  return last;
}

function complain(error) {
  const text = error instanceof Error ? error.message : error;
  at("message").textContent = text;
  at("message").hidden = !text;
}

/** Raw values by input name → the answer, shown; of several that wait, only the newest runs. */
function run(raw) {
  const number = ++newest;
  return inTurn(async () => {
    if (number !== newest) return;
    const given = prepared(raw);
    const outputs = await model.run(given);
    tell(bundle.facts, given, outputs, places);
    const { median, count } = await model.medianMs(given);
    at("latency").textContent = `${median.toFixed(median < 10 ? 2 : 0)} ms (median of ${count})`;
  });
}

function prepared(raw) {
  return Object.fromEntries(bundle.facts.inputs.map(({ name, preprocessing }) => [name, networkInput(raw[name], preprocessing)]));
}

/** RGBA pixels as the one input. */
function runPixels(imageData) {
  const [{ name, preprocessing }] = bundle.facts.inputs;
  return run({ [name]: rawImage(imageData, preprocessing) });
}

/** The largest gap to what is expected of the samples, and what may be: beyond it the model is not used. */
async function selfCheck(candidate, backend) {
  let gap = 0, allowed = Infinity, beyond = false;
  for (const sample of bundle.samples) {
    const outputs = await candidate.run(prepared(sample.raw));
    for (const { name, tolerance, step } of bundle.facts.outputs) {
      const wanted = sample.expected[name];
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      // Integer kernels of another processor differ by a step or two, and a GPU may round to 11 bits.
      const limit = Math.max(tolerance, 2.5 * step, backend === "webgpu" ? 1e-2 * largest : 0);
      const found = wanted.reduce((most, value, place) => Math.max(most, Math.abs(value - outputs[name][place]) || (Number.isNaN(outputs[name][place]) ? Infinity : 0)), 0);
      gap = Math.max(gap, found);
      allowed = Math.min(allowed, limit);
      beyond ||= !(found <= limit);
    }
  }
  return { gap, allowed, beyond };
}

function toldCheck({ gap, allowed, beyond }) {
  const count = bundle.samples.length;
  return `${beyond ? "Failed" : "Passed"}: ${count} samples, largest gap ${gap.toPrecision(3)}, allowed ${allowed.toPrecision(3)}`;
}

/** Load the model for a backend; one that cannot run it, or computes something else, is not taken. */
async function use(backend) {
  let candidate;
  try {
    candidate = await Model.load(bundle.content, backend, WASM);
    const result = await selfCheck(candidate, backend);
    at("checked").textContent = toldCheck(result);
    if (result.beyond) throw new Error(`it computes something else (gap ${result.gap.toPrecision(3)})`);
    model?.delete();
    model = candidate;
    at("backend").value = backend;
  } catch (error) {
    candidate?.delete();
    at("backend").value = model ? "wasm" : backend;
    throw new Error(`${NAMES[backend]} cannot run this model here: ${error?.message ?? error}`);
  }
}

function introduce({ name, scheme, inputs, outputs, bytes }) {
  document.title = `${name} – dlkit`;
  at("name").textContent = name;
  const told = (ends) => ends.map((end) => end.shape.slice(1).join(" × ") || "1").join(", ");
  at("facts").textContent = `${scheme}, ${bytes.toLocaleString("en")} bytes, ${told(inputs)} → ${told(outputs)}`;
}

function takePictures() {
  const stage = at("stage");
  const [{ preprocessing }] = bundle.facts.inputs;
  const [height, width] = preprocessing.image;
  stage.height = Math.round((stage.width * height) / width);
  stage.style.aspectRatio = `${width} / ${height}`;
  clear(stage);
  drawable(stage, width, () => runPixels(pixels(stage)));
  at("picture").hidden = false;
  at("clear").addEventListener("click", () => {
    stopCamera();
    clear(stage);
    newest++;
    forget();
  });
  at("file").addEventListener("change", () => take(at("file").files));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));
  offerCamera();
}

/** Nothing is answered. */
function forget() {
  places.answer.textContent = "None yet.";
  places.bars.replaceChildren();
  places.made.replaceChildren();
  at("latency").textContent = "–";
  complain("");
}

/** The first of the files as a picture. */
async function take([file]) {
  if (!file) return;
  stopCamera();
  let imageData;
  try {
    imageData = await decoded(file);
  } catch {
    complain(`${file.name} is not a picture that this browser can read.`);
    return;
  } finally {
    at("file").value = "";
  }
  show(at("stage"), await createImageBitmap(imageData));
  try {
    await runPixels(imageData);
  } catch (error) {
    complain(error);
  }
}

async function offerCamera() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  at("camera").hidden = !devices.some((device) => device.kind === "videoinput");
  at("camera").addEventListener("click", () => (at("video").hidden ? startCamera() : takePhoto()));
}

async function startCamera() {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    complain(`The camera cannot be used: ${error.message}`);
    return;
  }
  await at("video").play();
  at("video").hidden = false;
  at("stage").hidden = true;
  at("camera").textContent = "Take the picture";
}

async function takePhoto() {
  const video = at("video");
  const imageData = pixels(video, video.videoWidth, video.videoHeight);
  stopCamera();
  show(at("stage"), await createImageBitmap(imageData));
  await runPixels(imageData);
}

function stopCamera() {
  for (const track of at("video").srcObject?.getTracks() ?? []) track.stop();
  at("video").srcObject = null;
  at("video").hidden = true;
  at("stage").hidden = false;
  at("camera").textContent = "Camera";
}

function takeArrays() {
  const { inputs } = bundle.facts;
  const told = inputs.map(({ name, preprocessing: { shape, image, raw_range: [low, high] } }) => {
    const range = high < 1e38 ? ` from ${low} to ${high}` : "";
    return `${inputs.length > 1 ? `${name}: ` : ""}${countOf(image ?? shape)} numbers${range} (${(image ?? shape).join(" × ")})`;
  });
  at("wanted").textContent = `${told.join("; ")}${inputs.length > 1 ? '; as JSON, {"name": [numbers], …}' : ""}`;
  at("array").hidden = false;
  at("array").addEventListener("submit", (event) => {
    event.preventDefault();
    runText(at("numbers").value);
  });
  at("table").addEventListener("change", async () => {
    const [file] = at("table").files;
    at("table").value = "";
    if (!file) return;
    at("numbers").value = (await file.text()).slice(0, 2 ** 24).trim();
    runText(at("numbers").value);
  });
}

function runText(text) {
  const { inputs } = bundle.facts;
  let raw;
  try {
    const texts = inputs.length > 1 ? byName(text) : { [inputs[0].name]: text };
    raw = Object.fromEntries(inputs.map(({ name, preprocessing }) => [name, rawSample(numbersIn(texts[name]), preprocessing)]));
  } catch (error) {
    complain(error);
    return;
  }
  run(raw);
}

/** The text of each input's numbers in a JSON object. */
function byName(text) {
  const names = bundle.facts.inputs.map((input) => input.name);
  let table;
  try {
    table = JSON.parse(text);
  } catch {
    throw new InputError(`Give a JSON object with numbers for ${names.join(" and ")}.`);
  }
  const missing = names.filter((name) => !Array.isArray(table?.[name]));
  if (missing.length) throw new InputError(`There are no numbers for ${missing.join(" and ")}.`);
  return Object.fromEntries(names.map((name) => [name, JSON.stringify(table[name])]));
}

/** Normally distributed numbers, cut off at the ends of the raw range; then the class that was asked for. */
function takeNoise() {
  const { inputs: [{ name, preprocessing }], conditions } = bundle.facts;
  const [low, high] = preprocessing.raw_range;
  at("noise").hidden = false;
  at("asked").hidden = !conditions.length;
  conditions.forEach((label, place) => at("condition").append(new Option(label, place)));
  at("noise").addEventListener("submit", (event) => {
    event.preventDefault();
    const drawn = Float32Array.from({ length: countOf(preprocessing.shape) }, () => {
      const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      return Math.min(high, Math.max(low, normal));
    });
    conditions.forEach((_, place) => (drawn[drawn.length - conditions.length + place] = place === Number(at("condition").value)));
    run({ [name]: drawn });
  });
}

async function start() {
  bundle = await load();
  const { facts } = bundle;
  introduce(facts);
  if (await hasWebGpu()) at("backend").append(new Option(NAMES.webgpu, "webgpu"));
  await use("wasm");
  at("backend").addEventListener("change", () => {
    const wanted = at("backend").value;
    inTurn(() => use(wanted));
  });
  at("check").addEventListener("click", () =>
    inTurn(async () => {
      at("checked").textContent = "";
      at("checked").textContent = toldCheck(await selfCheck(model, at("backend").value));
    }),
  );
  at("check").disabled = false;
  const alone = facts.inputs.length === 1;
  if (alone && facts.inputs[0].preprocessing.image) takePictures();
  else takeArrays();
  if (alone && facts.task === "generation") takeNoise();
  sampleButtons(facts, bundle.samples, at("samples"), async (sample) => {
    const [{ name, preprocessing }] = facts.inputs;
    if (alone && preprocessing.image) {
      stopCamera();
      const given = networkInput(sample.raw[name], preprocessing);
      show(at("stage"), await createImageBitmap(pixelsOf(given, preprocessing)));
    } else if (alone) at("numbers").value = Array.from(sample.raw[name]).join(", ");
    await run(sample.raw);
  });
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  if (!bundle) at("name").textContent = "The model cannot be loaded";
  complain(error);
});
