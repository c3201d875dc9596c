"use strict";

// From what the page holds, packed, to arrays; every part is unpacked when it is first looked at.

function once(make) {
  let kept;
  return () => (kept ??= make());
}

function mapOf(packed) {
  return once(async () => asNumbers(await inflated(packed.data), packed.first, packed.last));
}

function maskOf(packed, pixels) {
  return packed === null ? null : once(async () => asMask(await inflated(packed), pixels));
}

async function integersOf(packed) {
  return new Int32Array((await inflated(packed)).buffer);
}

function unpackedCase(packed, size) {
  const pixels = size[0] * size[1] * size[2];
  const part = {
    ...packed,
    layers: packed.layers.map((layer) => ({ ...layer, values: mapOf(layer.values) })),
    prediction: packed.prediction && mapOf(packed.prediction),
    segment: maskOf(packed.segment, pixels),
    explained: maskOf(packed.explained, pixels),
    truth: maskOf(packed.truth, pixels),
    sizes: (packed.positions?.windows ?? []).map((windows) => windows.name),
  };
  if (packed.factors) part.factors = once(() => unpackedFactors(packed.factors));
  if (packed.positions) part.positions = once(() => unpackedPositions(packed.positions));
  return part;
}

async function unpackedFactors(packed) {
  const [outputs, inputs] = await Promise.all([inflated(packed.outputs), inflated(packed.inputs)]);
  const coarse = packed.size[0] * packed.size[1] * packed.size[2];
  return {
    ...packed,
    outputs: new Int8Array(outputs.buffer),
    inputs: new Int8Array(inputs.buffer),
    rows: rowsOf(asMask(await inflated(packed.explained), coarse)),
  };
}

async function unpackedPositions(packed) {
  const values = new Float32Array((await inflated(packed.values)).buffer);
  const numbers = await integersOf(packed.numbers);
  const positions = { ...packed, values, numbers, index: new Map([...numbers].map((number, at) => [number, at])) };
  if (packed.parts) positions.parts = await integersOf(packed.parts);
  for (const windows of packed.windows ?? []) {
    windows.kernel = asMask(await inflated(windows.kernel), windows.kernel_size.reduce((a, b) => a * b));
  }
  if (packed.turned) {
    positions.ends = await integersOf(packed.turned.ends);
    positions.until = await integersOf(packed.turned.until);
  }
  return positions;
}

function unpackedImage(packed) {
  return {
    ...packed,
    picture: once(() => inflated(packed.picture)),
    cases: packed.cases.map((part) => unpackedCase(part, packed.size)),
  };
}

// Which position hides the pixel under the cursor, or is nearest to it: its index among those measured.
function positionAt(positions, pixel, size, chosen) {
  let number;
  if (positions.parts) {
    number = positions.parts[(pixel[0] * size[1] + pixel[1]) * size[2] + pixel[2]];
  } else {
    const windows = positions.windows[Math.min(chosen, positions.windows.length - 1)];
    number = windows.first + nearestWindow(windows, pixel);
  }
  return positions.index.get(number) ?? null;
}

// The pixels that a position hides, as a set.
function hiddenBy(positions, index, size) {
  const mask = new Uint8Array(size[0] * size[1] * size[2]);
  const number = positions.numbers[index];
  if (positions.parts) {
    for (let i = 0; i < mask.length; i++) mask[i] = positions.parts[i] === number ? 1 : 0;
    return mask;
  }
  const windows = positions.windows.findLast((one) => one.first <= number);
  const corner = cornerOf(windows, number - windows.first);
  const sides = windows.kernel_size;
  while (corner.length < 3) corner.unshift(0);
  const full = [...Array(3 - sides.length).fill(1), ...sides];
  let at = 0;
  for (let d = 0; d < full[0]; d++) {
    for (let r = 0; r < full[1]; r++) {
      for (let c = 0; c < full[2]; c++, at++) {
        const place = [corner[0] + d, corner[1] + r, corner[2] + c];
        if (!windows.kernel[at] || place.some((value, axis) => value < 0 || value >= size[axis])) continue;
        mask[(place[0] * size[1] + place[1]) * size[2] + place[2]] = 1;
      }
    }
  }
  return mask;
}

// The segment that the network drew with a position hidden; null where that was not kept.
function segmentWith(positions, index, segment) {
  if (!positions.ends) return null;
  const begin = index === 0 ? 0 : positions.until[index - 1];
  return turned(segment, positions.ends.subarray(begin, positions.until[index]));
}
