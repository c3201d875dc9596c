"use strict";

// What the report computes, without a page: unpacking, the product of factors, colours, outlines.

const NOTHING = 65535; // stands for NaN among the levels of a map

async function inflated(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function asNumbers(bytes, first, last) {
  const levels = new Uint16Array(bytes.buffer, 0, bytes.length / 2);
  const values = new Float32Array(levels.length);
  const step = (last - first) / (NOTHING - 1);
  for (let i = 0; i < levels.length; i++) values[i] = levels[i] === NOTHING ? NaN : first + levels[i] * step;
  return values;
}

function asMask(bytes, pixels) {
  const mask = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) mask[i] = (bytes[i >> 3] >> (i & 7)) & 1;
  return mask;
}

// Which row of the factors each output pixel has; -1 where it was not explained.
function rowsOf(mask) {
  const rows = new Int32Array(mask.length).fill(-1);
  for (let i = 0, next = 0; i < mask.length; i++) if (mask[i]) rows[i] = next++;
  return rows;
}

// The mean over some rows of outputs * scales * inputs: a map for each output pixel.
function productOf(factors, rows) {
  const { rank, scales, outputs, inputs } = factors;
  const weights = new Float32Array(rank);
  for (const row of rows) for (let k = 0; k < rank; k++) weights[k] += outputs[row * rank + k];
  for (let k = 0; k < rank; k++) weights[k] *= scales[k] / rows.length;
  const values = new Float32Array(inputs.length / rank);
  for (let i = 0, at = 0; i < values.length; i++) {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += weights[k] * inputs[at++];
    values[i] = sum;
  }
  return values;
}

// A map on a coarser grid, repeated on the grid of the image; sizes are [depths, rows, columns].
function repeated(values, coarse, step, size) {
  if (step === 1) return values;
  const out = new Float32Array(size[0] * size[1] * size[2]);
  const deep = size[0] > 1 ? step : 1;
  let at = 0;
  for (let d = 0; d < size[0]; d++) {
    for (let r = 0; r < size[1]; r++) {
      const line = (Math.floor(d / deep) * coarse[1] + Math.floor(r / step)) * coarse[2];
      for (let c = 0; c < size[2]; c++) out[at++] = values[line + Math.floor(c / step)];
    }
  }
  return out;
}

// The smallest and the largest value; around 0 where a map has both signs.
function limitsOf(values, signed) {
  let first = Infinity, last = -Infinity;
  for (const value of values) {
    if (value < first) first = value;
    if (value > last) last = value;
  }
  if (first > last) return [0, 0];
  if (!signed) return [first, last];
  const most = Math.max(Math.abs(first), Math.abs(last));
  return [-most, most];
}

// From which strength on a value is among the strongest share of all.
function strongest(values, share, signed) {
  const strengths = values.filter((value) => !Number.isNaN(value)).map((value) => (signed ? Math.abs(value) : value));
  if (share >= 1 || !strengths.length) return -Infinity;
  strengths.sort();
  return strengths[Math.min(strengths.length - 1, Math.ceil(strengths.length * (1 - share)))];
}

// Colours of values, laid over grey: out[i] = grey[i] * (1 - opacity) + colour * opacity.
function painted(out, base, values, options) {
  const { colours, limits, opacity, least, signed, unknown } = options;
  const scale = limits[1] > limits[0] ? 255 / (limits[1] - limits[0]) : 0;
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const value = values[i];
    const hidden = Number.isNaN(value);
    const weak = !hidden && (signed ? Math.abs(value) : value) < least;
    const level = hidden ? 0 : Math.min(255, Math.max(0, Math.round((value - limits[0]) * scale))) * 3;
    const share = weak ? 0 : opacity;
    for (let part = 0; part < 3; part++) {
      const colour = hidden ? unknown[part] : colours[level + part];
      out[at + part] = Math.round(base[at + part] * (1 - share) + colour * share);
    }
    out[at + 3] = 255;
  }
}

// A set of pixels with some runs turned over; `ends` are where they begin and end, one after the other.
function turned(mask, ends) {
  const out = mask.slice();
  for (let i = 0; i + 1 < ends.length; i += 2) for (let at = ends[i]; at < ends[i + 1]; at++) out[at] ^= 1;
  return out;
}

// The lines [x, y, x, y] between pixels inside and outside of a set.
function edgesOf(mask, rows, columns) {
  const lines = [];
  const inside = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && mask[r * columns + c] === 1;
  for (let r = 0; r <= rows; r++) {
    for (let c = 0, begin = -1; c <= columns; c++) {
      const edge = c < columns && inside(r, c) !== inside(r - 1, c);
      if (edge && begin < 0) begin = c;
      if (!edge && begin >= 0) {
        lines.push([begin, r, c, r]);
        begin = -1;
      }
    }
  }
  for (let c = 0; c <= columns; c++) {
    for (let r = 0, begin = -1; r <= rows; r++) {
      const edge = r < rows && inside(r, c) !== inside(r, c - 1);
      if (edge && begin < 0) begin = r;
      if (!edge && begin >= 0) {
        lines.push([c, begin, c, r]);
        begin = -1;
      }
    }
  }
  return lines;
}

// The number of the window whose centre is nearest to a pixel, of those that were measured.
function nearestWindow(windows, pixel) {
  const { grid, offset, start, side } = windows;
  const axes = pixel.slice(3 - grid.length);
  const place = axes.map((at, axis) => {
    const nearest = Math.round((at - start - (side - 1) / 2) / offset);
    return Math.min(grid[axis] - 1, Math.max(0, nearest));
  });
  return place.reduce((number, at, axis) => number * grid[axis] + at, 0);
}

function cornerOf(windows, number) {
  const corner = [];
  for (let axis = windows.grid.length - 1; axis >= 0; axis--) {
    corner.unshift((number % windows.grid[axis]) * windows.offset + windows.start);
    number = Math.floor(number / windows.grid[axis]);
  }
  return corner;
}

// A number as people write it: four digits, no more.
function written(value) {
  if (Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10000 || size < 0.001) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}
