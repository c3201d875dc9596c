"use strict";

// A canvas that shows one slice of something, with outlines; all panels share one view.

const UNKNOWN = [150, 150, 150]; // what was never hidden has no value
const LINES = {
  segment: { colour: "#ffb000", dash: [] },
  explained: { colour: "#fe6100", dash: [6, 4] },
  truth: { colour: "#6cb6ff", dash: [2, 3] },
  moved: { colour: "#ff5fd2", dash: [] },
  hidden: { colour: "#ffffff", dash: [4, 3] },
  picked: { colour: "#ffffff", dash: [] },
};

class Panel {
  constructor(canvas, report) {
    this.canvas = canvas;
    this.report = report;
    this.picture = document.createElement("canvas");
    this.lines = [];
    new ResizeObserver(() => report.redraw()).observe(canvas);
  }

  // The pixels to show, RGBA of one slice.
  show(rgba, rows, columns) {
    this.picture.width = columns;
    this.picture.height = rows;
    this.picture.getContext("2d").putImageData(new ImageData(rgba, columns, rows), 0, 0);
  }

  get scale() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return Math.min(width / this.picture.width, height / this.picture.height) * this.report.view.zoom;
  }

  // Where a point of the panel lies in the image, in pixels: [row, column].
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const { view } = this.report;
    return [
      (event.clientY - box.top - box.height / 2) / this.scale + view.row,
      (event.clientX - box.left - box.width / 2) / this.scale + view.column,
    ];
  }

  draw(part = [0, 1]) {
    const { canvas, report } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (part[0] === 0) context.clearRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(part[0] * width, 0, (part[1] - part[0]) * width, height);
    context.clip();
    const scale = this.scale * ratio;
    context.translate(width / 2, height / 2);
    context.scale(scale, scale);
    context.translate(-report.view.column, -report.view.row);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture, 0, 0);
    for (const line of this.lines) drawLine(context, line, ratio / scale);
    context.restore();
  }
}

function pathOf(edges) {
  const path = new Path2D();
  for (const [x, y, toX, toY] of edges) {
    path.moveTo(x, y);
    path.lineTo(toX, toY);
  }
  return path;
}

function crossOf(row, column) {
  const path = new Path2D();
  path.rect(column, row, 1, 1);
  for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
    path.moveTo(column + 0.5 + 1.5 * dx, row + 0.5 + 1.5 * dy);
    path.lineTo(column + 0.5 + 4 * dx, row + 0.5 + 4 * dy);
  }
  return path;
}

function boxOf([corner, end]) {
  const path = new Path2D();
  path.rect(corner[1], corner[0], end[1] - corner[1] + 1, end[0] - corner[0] + 1);
  return path;
}

function drawLine(context, { path, kind }, pixel) {
  const { colour, dash } = LINES[kind];
  context.lineCap = "square";
  context.setLineDash([]);
  context.strokeStyle = "rgba(0, 0, 0, 0.55)";
  context.lineWidth = 3.5 * pixel;
  context.stroke(path);
  context.setLineDash(dash.map((length) => length * pixel));
  context.strokeStyle = colour;
  context.lineWidth = 1.75 * pixel;
  context.stroke(path);
}

// The grey values or colours of one slice of an image, RGBA.
function pictureOf(bytes, channels, chosen, depth, pixels) {
  const out = new Uint8ClampedArray(pixels * 4);
  const first = depth * pixels;
  for (let i = 0; i < pixels; i++) {
    const at = (first + i) * channels;
    for (let part = 0; part < 3; part++) {
      out[4 * i + part] = chosen === "colours" ? bytes[at + part] : bytes[at + chosen];
    }
    out[4 * i + 3] = 255;
  }
  return out;
}

// The same in grey, as a ground for a map.
function greyOf(rgba) {
  const out = rgba.slice();
  for (let i = 0; i < out.length; i += 4) {
    out[i] = out[i + 1] = out[i + 2] = (rgba[i] + rgba[i + 1] + rgba[i + 2]) / 3;
  }
  return out;
}
