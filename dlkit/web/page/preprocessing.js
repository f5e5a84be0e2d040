// From pixels or raw values to network input: the same arithmetic as dlkit's runtime/preprocessing.py, whose images
// are fitted by Pillow, bit for bit. The numbers come from the bundle.

const f32 = Math.fround;
const PRECISION_BITS = 22; // of Pillow's resampling weights: 32 - 8 bits of a pixel - 2

/** An error to show: what was found and what would do. */
export class InputError extends Error {}

/** Python's round: halves go to the even number. */
function rounded(x) {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** Numbers in a shape. */
export function countOf(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

/** RGBA pixels, not premultiplied, over black → RGB; as Pillow's alpha_composite. */
export function onBlack(rgba) {
  const rgb = new Uint8ClampedArray((rgba.length / 4) * 3);
  let lowest = 255, highest = 0, brightest = 0;
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    lowest = Math.min(lowest, alpha);
    highest = Math.max(highest, alpha);
    const weight = alpha * 128; // in units of 1/128 of 1/255
    for (let channel = 0; channel < 3; channel++) {
      const sum = rgba[from + channel] * weight + 0x4000; // half of 255 · 128, as Pillow has it
      rgb[to + channel] = ((sum >> 8) + sum) >> 8 >> 7;
      brightest = Math.max(brightest, rgb[to + channel]);
    }
  }
  if (lowest !== highest && brightest === 0) {
    throw new InputError("The picture is black on transparent, and transparency counts as black; save it on white.");
  }
  return rgb;
}

/** RGB pixels → luminance, ITU-R 601-2 in 16-bit fixed point. */
function luminance(rgb) {
  const grey = new Uint8ClampedArray(rgb.length / 3);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to++) {
    grey[to] = (rgb[from] * 19595 + rgb[from + 1] * 38470 + rgb[from + 2] * 7471 + 0x8000) >> 16;
  }
  return grey;
}

/** For each of `size` new pixels: the first old one that it is made of, and their weights in fixed point. */
function weights(old, start, end, size) {
  const scale = f32(end - start) / size; // Pillow keeps the ends of a part in 32 bits
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - stretch + 0.5));
    const last = Math.min(old, Math.trunc(centre + stretch + 0.5));
    const found = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      const weight = Math.max(0, 1 - Math.abs((x - centre + 0.5) * (1 / stretch)));
      found.push(weight);
      sum += weight;
    }
    const fixed = found.map((weight) => Math.trunc(0.5 + (sum ? weight / sum : weight) * 2 ** PRECISION_BITS));
    return { first, fixed };
  });
}

/** Pixels of one line direction → as many as there are `lines`; `stride` leads from one pixel to the next. */
function along(pixels, made, table, others, oldStride, newStride, oldOther, newOther, channels) {
  for (let other = 0; other < others; other++) {
    for (let place = 0; place < table.length; place++) {
      const { first, fixed } = table[place];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (PRECISION_BITS - 1);
        let at = other * oldOther + first * oldStride + channel;
        for (const weight of fixed) {
          sum += pixels[at] * weight;
          at += oldStride;
        }
        made[other * newOther + place * newStride + channel] = sum >> PRECISION_BITS; // clamped by its type
      }
    }
  }
  return made;
}

/** A part of a picture [left, top, right, bottom] → width × height, bilinear with antialiasing. */
function resized(picture, width, height, box = [0, 0, picture.width, picture.height]) {
  const { channels } = picture;
  let { pixels, width: oldWidth, height: oldHeight } = picture;
  const [left, top, right, bottom] = box;
  if (oldWidth !== width || left !== 0 || right !== width) {
    const made = new Uint8ClampedArray(width * oldHeight * channels);
    const table = weights(oldWidth, left, right, width);
    pixels = along(pixels, made, table, oldHeight, channels, channels, oldWidth * channels, width * channels, channels);
    oldWidth = width;
  }
  if (oldHeight !== height || top !== 0 || bottom !== height) {
    const made = new Uint8ClampedArray(width * height * channels);
    const table = weights(oldHeight, top, bottom, height);
    pixels = along(pixels, made, table, width, width * channels, width * channels, channels, channels, channels);
  }
  return { pixels, width, height, channels };
}

/** The middle of the picture in the proportions wanted. */
function cropped(picture, width, height) {
  const had = picture.width / picture.height;
  const wanted = width / height;
  let cropWidth = picture.width, cropHeight = picture.height;
  if (had > wanted) cropWidth = wanted * picture.height;
  else if (had < wanted) cropHeight = picture.width / wanted;
  const left = (picture.width - cropWidth) * 0.5;
  const top = (picture.height - cropHeight) * 0.5;
  return resized(picture, width, height, [left, top, left + cropWidth, top + cropHeight].map(f32));
}

/** All of the picture in the middle of a ground of 0. */
function padded(picture, width, height) {
  const ratio = Math.min(width / picture.width, height / picture.height);
  const innerWidth = Math.max(1, rounded(picture.width * ratio));
  const innerHeight = Math.max(1, rounded(picture.height * ratio));
  const inner = resized(picture, innerWidth, innerHeight);
  const { channels } = picture;
  const pixels = new Uint8ClampedArray(width * height * channels);
  const left = Math.floor((width - innerWidth) / 2), top = Math.floor((height - innerHeight) / 2);
  for (let y = 0; y < innerHeight; y++) {
    const line = inner.pixels.subarray(y * innerWidth * channels, (y + 1) * innerWidth * channels);
    pixels.set(line, ((top + y) * width + left) * channels);
  }
  return { pixels, width, height, channels };
}

/** RGBA pixels of any size → raw values of the image that the network reads, (height × width × channels) float32. */
export function rawImage({ data, width, height }, preprocessing) {
  const [newHeight, newWidth, channels] = preprocessing.image;
  const rgb = onBlack(data);
  const picture = { pixels: channels === 1 ? luminance(rgb) : rgb, width, height, channels };
  const fit = { crop: cropped, pad: padded, stretch: resized }[preprocessing.resize];
  const { pixels } = fit(picture, newWidth, newHeight);
  const [low, high] = preprocessing.raw_range;
  return Float32Array.from(pixels, (pixel) => f32(f32(f32(pixel / 255) * f32(high - low)) + f32(low)));
}

/** Raw values of one sample → network input: raw × scale + offset per channel. */
export function networkInput(raw, preprocessing) {
  const last = (preprocessing.image ?? preprocessing.shape).at(-1) ?? 1;
  const { scale, offset, color } = preprocessing;
  return Float32Array.from(raw, (_, place) => {
    const channel = place % last;
    const value = color === "bgr" ? raw[place - channel + (last - 1 - channel)] : raw[place];
    return f32(f32(value * f32(scale[channel % scale.length])) + f32(offset[channel % offset.length]));
  });
}

/** Values in the network's range → raw values. */
export function rawOf(values, preprocessing) {
  const { scale, offset } = preprocessing;
  return Float32Array.from(values, (value, place) => (value - offset[place % offset.length]) / scale[place % scale.length]);
}

/** Values in a network's range → RGBA pixels of the image behind them. */
export function pixelsOf(values, preprocessing) {
  const [height, width, channels] = preprocessing.image;
  const [low, high] = preprocessing.raw_range;
  const { scale, offset, color } = preprocessing;
  const pixels = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = channels === 1 ? 0 : color === "bgr" ? 2 - channel : channel;
      const raw = (values[place * channels + from] - offset[from % offset.length]) / scale[from % scale.length];
      pixels.data[place * 4 + channel] = rounded(Math.min(255, Math.max(0, ((raw - low) / (high - low)) * 255)));
    }
    pixels.data[place * 4 + 3] = 255;
  }
  return pixels;
}

/** Numbers, checked as raw values of one sample: how many, finite, inside the range. */
export function rawSample(numbers, preprocessing) {
  const shape = preprocessing.image ?? preprocessing.shape;
  const wanted = countOf(shape);
  const [low, high] = preprocessing.raw_range;
  if (numbers.length !== wanted) {
    throw new InputError(`${numbers.length} numbers, but a sample has ${wanted} (${shape.join(" × ")}).`);
  }
  let least = Infinity, most = -Infinity, whole = true;
  for (const number of numbers) {
    if (!Number.isFinite(f32(number))) throw new InputError("Every value must be a finite number.");
    least = Math.min(least, number);
    most = Math.max(most, number);
    whole &&= Number.isInteger(number);
  }
  if (least < low || most > high) {
    throw new InputError(`Values from ${least} to ${most}, but this model takes raw values from ${low} to ${high}.`);
  }
  if (high < 1e38 && !whole && low >= 0 && high > 2 && most <= 1) {
    throw new InputError(`Values from ${least} to ${most} look scaled already; give raw values from ${low} to ${high}.`);
  }
  return Float32Array.from(numbers);
}

/** Text with a JSON array, or numbers apart by commas, semicolons or white space → numbers. */
export function numbersIn(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new InputError("There are no numbers yet.");
  let found;
  if (trimmed.startsWith("[")) {
    try {
      found = JSON.parse(trimmed).flat(Infinity);
    } catch {
      throw new InputError("This is not a JSON array of numbers.");
    }
  } else {
    found = trimmed.split(/\s*[,;]\s*|\s+/).filter(Boolean).map((cell) => (/^[-+.\d]/.test(cell) ? Number(cell) : NaN));
  }
  if (!found.every((number) => typeof number === "number" && Number.isFinite(number))) {
    throw new InputError("These are not numbers separated by commas, nor a JSON array of numbers.");
  }
  return found;
}
