// An answer as a person reads it: bars, pictures, a line. Names come from the bundle and are only ever text.

import { pictureOf } from "./drawing.js";
import { countOf, networkInput, pixelsOf, rawOf } from "./preprocessing.js";

const SHOWN = 10;
const FEW = 16;
const SVG = "http://www.w3.org/2000/svg";

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

/** Show what the model answers to `given` network inputs. */
export function tell(facts, given, outputs, places) {
  places.bars.replaceChildren();
  places.made.replaceChildren();
  const [name] = facts.outputs.map((output) => output.name);
  const values = outputs[name];
  if (!Object.values(outputs).every((numbers) => numbers.every(Number.isFinite))) {
    places.answer.textContent = "The model answers with NaN or infinity; its weights are broken.";
  } else if (facts.task === "reconstruction" && facts.inputs.length === 1) {
    places.answer.textContent = again(facts, given[facts.inputs[0].name], values, places.made);
  } else if (facts.picture) {
    places.answer.textContent = "A picture";
    figure(pixelsOf(values, facts.picture), "made of noise", places.made);
  } else if (facts.forecast) {
    places.answer.textContent = forecast(facts, given[facts.inputs[0].name], values, places.made);
  } else if (facts.labels.length === values.length && facts.outputs.length === 1) {
    places.answer.textContent = classes(facts, values, places.bars);
  } else {
    const told = Object.entries(outputs).map(([key, numbers]) => `${facts.outputs.length > 1 ? `${key}: ` : ""}${few(numbers)}`);
    places.answer.textContent = told.join("; ");
  }
}

function classes(facts, values, list) {
  const sure = facts.outputs[0].answers === "probabilities";
  const told = (value) => (sure ? percent(value) : value.toFixed(3));
  const order = [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, SHOWN);
  const low = Math.min(...values), high = Math.max(...values);
  for (const place of order) {
    const row = element("li", undefined, list);
    element("span", facts.labels[place], row);
    const bar = element("i", undefined, row);
    bar.setAttribute("aria-hidden", "true");
    bar.style.width = `${100 * (sure ? values[place] : (values[place] - low) / (high - low || 1))}%`;
    element("span", told(values[place]), row);
  }
  return `${facts.labels[order[0]]}, ${told(values[order[0]])}`;
}

function again(facts, given, values, parent) {
  let sum = 0;
  for (let place = 0; place < values.length; place++) sum += (given[place] - values[place]) ** 2;
  const error = sum / values.length;
  const { preprocessing } = facts.inputs[0];
  if (preprocessing.image) {
    figure(pixelsOf(given, preprocessing), "given", parent);
    figure(pixelsOf(values, preprocessing), "given again", parent);
  }
  if (!facts.anomaly) return `Mean squared error ${error.toFixed(5)}`;
  const beyond = error > facts.anomaly.threshold;
  return `${beyond ? "Anomaly" : "Normal"}: score ${error.toFixed(5)}, ${beyond ? "beyond" : "within"} ${facts.anomaly.threshold.toFixed(5)}`;
}

function figure(imageData, caption, parent) {
  const made = element("figure", undefined, parent);
  made.append(pictureOf(imageData, caption));
  element("figcaption", caption, made);
}

function forecast(facts, given, values, parent) {
  const { preprocessing } = facts.inputs[0];
  const features = preprocessing.shape.at(-1);
  const future = rawOf(values, facts.forecast);
  const past = rawOf(given, preprocessing);
  const first = (numbers, width) => [...numbers].filter((_, place) => place % width === 0);
  const width = facts.forecast.shape.length > 1 ? facts.forecast.shape.at(-1) : features === countOf(facts.forecast.shape) ? features : 1;
  line(first(past, features), first(future, width), parent);
  return few(future);
}

/** The past as a line and what comes after it as another, of the first feature. */
function line(past, future, parent) {
  const all = [...past, ...future];
  const low = Math.min(...all), span = Math.max(...all) - low || 1;
  const points = all.map((value, place) => [8 + (place * 384) / Math.max(1, all.length - 1), 112 - ((value - low) / span) * 104]);
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 400 120");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `The given values, then the forecast ${few(future)}`);
  const draw = (some, kind) => {
    const path = document.createElementNS(SVG, "polyline");
    path.setAttribute("points", some.map((point) => point.map((n) => n.toFixed(1)).join(",")).join(" "));
    path.setAttribute("class", kind);
    picture.append(path);
  };
  draw(points.slice(0, past.length), "past");
  draw(points.slice(past.length - 1), "next");
  parent.append(picture);
}

function few(numbers) {
  const told = (number) => Number(number.toPrecision(5)).toString();
  if (numbers.length <= FEW) return Array.from(numbers, told).join("  ");
  return `${numbers.length} numbers from ${told(Math.min(...numbers))} to ${told(Math.max(...numbers))}`;
}

/** A button for each sample that the bundle brings along. */
export function sampleButtons(facts, samples, parent, chosen) {
  const [{ name, preprocessing }] = facts.inputs;
  samples.forEach((sample, row) => {
    const button = element("button", undefined, parent);
    button.type = "button";
    if (facts.inputs.length === 1 && preprocessing.image) {
      button.append(pictureOf(pixelsOf(networkInput(sample.raw[name], preprocessing), preprocessing)));
      button.setAttribute("aria-label", `Sample ${row + 1}`);
    } else {
      button.className = "named";
      button.textContent = `Sample ${row + 1}`;
    }
    button.addEventListener("click", () => chosen(sample));
  });
}
