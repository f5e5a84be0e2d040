// The stage: a canvas to draw on, with a mouse, a finger or the keyboard; and pictures to look at.

const PEN = 0.085; // of the canvas' width,
const PEN_PIXELS = 1.3; // and of the network's image: a thinner line would be grey there
const STEP = 0.05; // of the pen moved by a key

/** Calls `changed` after each stroke; the network reads an image that is `pixelsWide`. */
export function drawable(canvas, pixelsWide, changed) {
  const width = canvas.width * Math.max(PEN, PEN_PIXELS / pixelsWide);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = { x: canvas.width / 2, y: canvas.height / 2, down: false };

  function to(x, y) {
    context.strokeStyle = "#fff";
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(pen.x, pen.y);
    context.lineTo(x, y);
    context.stroke();
    Object.assign(pen, { x, y });
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    [pen.x, pen.y] = place(event);
    pen.down = true;
    to(pen.x, pen.y);
  });
  canvas.addEventListener("pointermove", (event) => pen.down && event.buttons && to(...place(event)));
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      if (pen.down) changed();
      pen.down = false;
    });
  }
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) to(pen.x, pen.y);
      changed();
    } else if (moves[event.key]) {
      const [right, down] = moves[event.key].map((way) => way * STEP * canvas.width);
      const x = Math.min(canvas.width, Math.max(0, pen.x + right));
      const y = Math.min(canvas.height, Math.max(0, pen.y + down));
      if (pen.down) {
        to(x, y);
        changed();
      } else Object.assign(pen, { x, y });
    } else return;
    event.preventDefault();
  });
}

/** A black stage. */
export function clear(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
}

/** All of an image in the middle of the stage, as large as it can be. */
export function show(canvas, image) {
  clear(canvas);
  const ratio = Math.min(canvas.width / image.width, canvas.height / image.height);
  const width = image.width * ratio, height = image.height * ratio;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = ratio < 1;
  context.drawImage(image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}

/** The pixels of anything that can be drawn, without a change of size or colour. */
export function pixels(source, width = source.width, height = source.height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** A canvas that shows RGBA pixels as they are. */
export function pictureOf(imageData, label) {
  const canvas = document.createElement("canvas");
  canvas.width = imageData.width;
  canvas.height = imageData.height;
  canvas.getContext("2d").putImageData(imageData, 0, 0);
  if (label) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
  } else canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** An image file, upright, its colours as they are in it → RGBA pixels. */
export async function decoded(blob) {
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  try {
    return pixels(image);
  } finally {
    image.close();
  }
}
