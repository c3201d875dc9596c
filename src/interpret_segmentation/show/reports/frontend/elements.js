"use strict";

// Parts of the page: made, filled, shown, read.

const $ = (id) => document.getElementById(id);

function made(name, text, attributes = {}) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function options(select, pairs, chosen = null) {
  select.replaceChildren(...pairs.map(([value, name]) => made("option", name, { value })));
  if (chosen !== null) select.value = chosen;
}

function visible(name, is) {
  document.querySelector(`[data-for="${name}"]`).hidden = !is;
}

const mode = () => document.querySelector("[name=view]:checked").value;
const tool = () => document.querySelector("[name=tool]:checked").value;

function nameOf(corner, end, step) {
  const [first, last] = [corner, end].map((place) => place.map((value) => value * step));
  if (first[0] === last[0] && first[1] === last[1]) return `pixel (${first[0]}, ${first[1]})`;
  return `the pixels from (${first[0]}, ${first[1]}) to (${last[0]}, ${last[1]})`;
}

function positionWords(positions, index, knowsSegment) {
  const value = positions.values[index];
  const change = value - positions.baseline;
  const unit = positions.unit ? ` ${positions.unit}` : "";
  const words = `Hidden there: ${positions.name} ${written(value)}${unit}, unmasked ${written(positions.baseline)}${unit}`;
  return `${words} (${change >= 0 ? "+" : "−"}${written(Math.abs(change))})${knowsSegment ? "" : "; its segment was not kept"}`;
}

function keyOf(kind, name) {
  const key = made("span");
  const { colour, dash } = LINES[kind];
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("width", "26");
  picture.setAttribute("height", "12");
  const line = document.createElementNS(space, "line");
  for (const [attribute, value] of Object.entries({ x1: 2, x2: 24, y1: 6, y2: 6, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") })) {
    line.setAttribute(attribute, String(value));
  }
  picture.append(line);
  key.append(picture, name);
  return key;
}

function tableOf(tables, signed) {
  const chosen = $("colours").value;
  const fitting = tables.filter((table) => table.diverging === signed);
  const table = fitting.find((one) => one.name === chosen) ?? fitting[0];
  table.bytes ??= Uint8Array.from(atob(table.data), (letter) => letter.charCodeAt(0));
  return table.bytes;
}

function rampOf(colours) {
  const stops = [];
  for (let i = 0; i < 256; i += 15) stops.push(`rgb(${colours[3 * i]} ${colours[3 * i + 1]} ${colours[3 * i + 2]})`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${await response.text()}`);
  return response.json();
}
