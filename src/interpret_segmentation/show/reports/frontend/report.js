"use strict";

// The page: what is chosen, what is asked, and what is drawn where.

const PICKED = "picked";

class Report {
  constructor(content) {
    this.content = content;
    this.view = { zoom: 1, row: 0, column: 0 };
    this.cursor = null; // [depth, row, column]
    this.pick = null; // [[row, column], [row, column]]: the corners of what is asked about
    this.answers = new Map();
    this.panels = [];
    this.outlines = new Map();
    this.size = [1, 1, 1];
    this.depth = 0;
    this.hovered = null;
  }

  // ---- what is chosen

  async open(number) {
    const packed = this.content.images[number];
    this.image = unpackedImage(packed.address ? await fetched(packed.address) : packed);
    this.size = this.image.size;
    [this.cursor, this.pick, this.hovered] = [null, null, null];
    this.answers.clear();
    this.outlines.clear();
    this.depth = this.image.depth;
    const classes = [...new Set(this.image.cases.map((part) => part.target))];
    options($("class"), classes.map((name) => [name, name]));
    visible("class", classes.length > 1);
    const planes = this.image.planes;
    const colours = this.image.in_colour ? [["colours", "colours"]] : [];
    options($("plane"), [...colours, ...planes.map((name, at) => [String(at), name])]);
    visible("plane", planes.length > 1);
    $("slice").max = String(this.size[0] - 1);
    $("slice").value = String(this.depth);
    visible("slice", this.size[0] > 1);
    this.fit();
    await this.choose();
  }

  async choose() {
    const target = $("class").value;
    this.cases = this.image.cases.filter((part) => part.target === target);
    const chips = this.cases.map((part, at) => {
      const chip = made("button", part.name, { type: "button", class: "chip", "aria-pressed": String(at < 3) });
      chip.onclick = () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        this.layOut();
      };
      return chip;
    });
    $("maps").replaceChildren(...chips);
    visible("maps", this.cases.length > 1);
    this.describe();
    await this.layOut();
    for (const part of this.cases) part.factors?.(); // unpacked before the first click
  }

  get shown() {
    const chips = [...$("maps").children];
    return this.cases.filter((_, at) => chips[at].getAttribute("aria-pressed") === "true");
  }

  get asksPixels() {
    return this.shown.some((part) => part.factors || part.live);
  }

  // ---- panels

  async layOut() {
    const panels = [this.panelOf("image", "Image")];
    if (this.cases.some((part) => part.prediction)) panels.push(this.panelOf("prediction", "Prediction"));
    for (const part of this.shown) panels.push(this.panelOf("map", part.name, part));
    this.panels = panels;
    $("panels").replaceChildren(...panels.map((one) => one.figure));
    const names = panels.map((one, at) => [String(at), one.name]);
    options($("left"), names);
    options($("right"), names, String(names.length - 1));
    this.swiped = new Panel($("swiped"), this);
    if (!$("swiped").dataset.listens) listen(this, this.swiped, $("swiped"));
    this.look();
    await this.refresh();
  }

  panelOf(kind, name, part = null) {
    const figure = made("figure", null, { class: "panel", "data-kind": kind });
    const caption = made("figcaption");
    caption.append(made("h3", name));
    const canvas = made("canvas", null, { tabindex: "0", role: "img", "aria-label": `${name}: arrows move the cursor` });
    canvas.style.aspectRatio = String(Math.min(3, Math.max(1 / 2.2, this.size[2] / this.size[1])));
    const panel = new Panel(canvas, this);
    Object.assign(panel, { figure, kind, name, part, values: null, layer: part ? part.layers[0].id : null });
    if (part) {
      const layers = part.layers.map((layer) => [layer.id, layer.name]);
      if (part.factors || part.live) layers.push([PICKED, "of the pixel you ask about"]);
      const select = made("select", null, { "aria-label": `Map of ${name}` });
      options(select, layers);
      select.onchange = () => {
        panel.layer = select.value;
        this.refresh();
      };
      panel.select = select;
      if (layers.length > 1) caption.append(select);
      if (part.sizes.length > 1) {
        const sizes = made("select", null, { "aria-label": `What is hidden in ${name}` });
        options(sizes, part.sizes.map((size, at) => [String(at), size]), String(part.size ?? 0));
        sizes.onchange = () => {
          part.size = Number(sizes.value);
          this.point();
        };
        caption.append(sizes);
      }
    }
    figure.append(caption, canvas);
    if (kind !== "image") {
      panel.first = made("span");
      panel.last = made("span");
      panel.ramp = made("div", null, { class: "ramp" });
      panel.mark = made("i", null, { hidden: "" });
      panel.ramp.append(panel.mark);
      const scale = made("div", null, { class: "scale" });
      scale.append(panel.first, panel.ramp, panel.last);
      panel.meaning = made("p", null, { class: "meaning" });
      figure.append(scale, panel.meaning);
    } else {
      panel.legend = made("p", null, { class: "legend" });
      figure.append(panel.legend);
    }
    panel.reading = made("p", null, { class: "reading" });
    figure.append(panel.reading);
    listen(this, panel, canvas);
    return panel;
  }

  // Everything that depends on layers, slices, colours: the pictures are made anew.
  async refresh() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const [depths, rows, columns] = this.size;
    const pixels = rows * columns;
    this.depth = Math.min(this.depth, depths - 1);
    const plane = $("plane").value;
    const bytes = await this.image.picture();
    const chosen = plane === "colours" ? plane : Number(plane);
    const colour = pictureOf(bytes, this.image.planes.length, chosen, this.depth, pixels);
    const grey = greyOf(colour);
    const first = this.cases[0];
    const outlined = await this.outlinesOf(first);
    for (const panel of this.panels) {
      if (panel.kind === "image") {
        panel.show(colour, rows, columns);
        panel.legend.replaceChildren(...outlined.map(({ kind, name }) => keyOf(kind, name)));
        panel.fixed = outlined;
        continue;
      }
      const layer = await this.layerOf(panel);
      if (turn !== this.turn) return;
      panel.values = layer.values;
      panel.signed = layer.signed;
      panel.unit = layer.unit;
      panel.limits = layer.limits;
      const colours = tableOf(this.content.colours, layer.signed);
      const slice = layer.values.subarray(this.depth * pixels, (this.depth + 1) * pixels);
      const rgba = new Uint8ClampedArray(pixels * 4);
      const whole = panel.kind === "prediction";
      painted(rgba, grey, slice, {
        colours,
        limits: layer.limits,
        opacity: whole ? 1 : Number($("opacity").value) / 100,
        least: whole ? -Infinity : layer.least,
        signed: layer.signed,
        unknown: UNKNOWN,
      });
      panel.show(rgba, rows, columns);
      panel.fixed = outlined;
      panel.first.textContent = written(layer.limits[0]);
      panel.last.textContent = `${written(layer.limits[1])}${layer.unit ? ` ${layer.unit}` : ""}`;
      panel.ramp.style.background = rampOf(colours);
      panel.meaning.textContent = layer.meaning + (layer.values.some(Number.isNaN) && panel.layer !== PICKED ? "; grey was never hidden" : "");
    }
    this.look();
    await this.point();
  }

  async layerOf(panel) {
    const { part } = panel;
    if (panel.kind === "prediction") {
      const source = this.cases.find((one) => one.prediction);
      return { values: await source.prediction(), signed: false, unit: "", limits: [0, 1], meaning: `probability of ${source.target}` };
    }
    let layer = part.layers.find((one) => one.id === panel.layer);
    let values;
    if (panel.layer === PICKED) {
      const answer = this.answers.get(part);
      const signed = part.layers[0].signed;
      if (!answer) {
        const nothing = new Float32Array(this.size.reduce((a, b) => a * b)).fill(NaN);
        return { values: nothing, signed, unit: "", limits: [0, 0], least: -Infinity, meaning: "click a pixel inside the outline" };
      }
      values = answer.values;
      layer = { signed: signed, unit: part.layers[0].unit, meaning: `${part.pixel_meaning} of ${answer.name}` };
    } else {
      values = await layer.values();
    }
    const share = Number($("top").value) / 100;
    return { ...layer, values, limits: layer.limits ?? limitsOf(values, layer.signed), least: strongest(values, share, layer.signed) };
  }

  // The outlines that a case always has, on the slice that is shown.
  async outlinesOf(part) {
    const [, rows, columns] = this.size;
    const sets = [["segment", "segment", part.segment], ["explained", "explained", part.explained], ["truth", "ground truth", part.truth]];
    const lines = [];
    for (const [kind, name, mask] of sets) {
      if (!mask) continue;
      const key = `${this.cases.indexOf(part)} ${$("class").value} ${kind} ${this.depth}`;
      if (!this.outlines.has(key)) {
        const slice = (await mask()).subarray(this.depth * rows * columns, (this.depth + 1) * rows * columns);
        const edges = edgesOf(slice, rows, columns);
        this.outlines.set(key, { path: pathOf(edges), empty: !edges.length });
      }
      const { path, empty } = this.outlines.get(key);
      lines.push({ path, kind, name: empty ? `no ${name} here` : name });
    }
    return lines;
  }

  // ---- the cursor, the hidden part under it, and the readings

  async point() {
    const turn = (this.pointed = (this.pointed ?? 0) + 1);
    const [, rows, columns] = this.size;
    const at = this.cursor;
    const lines = [];
    let moved = null;
    const told = new Map();
    const asked = this.shown.filter((part) => part.positions);
    const about = this.hovered && this.hovered.positions ? this.hovered : asked[0];
    if (at && about) {
      const positions = await about.positions();
      const index = positionAt(positions, at, this.size, about.size ?? 0);
      if (turn !== this.pointed) return;
      if (index !== null) {
        const slice = (mask) => mask.subarray(this.depth * rows * columns, (this.depth + 1) * rows * columns);
        lines.push({ path: pathOf(edgesOf(slice(hiddenBy(positions, index, this.size)), rows, columns)), kind: "hidden" });
        const segment = segmentWith(positions, index, about.segment ? await about.segment() : new Uint8Array(0));
        if (segment) moved = { path: pathOf(edgesOf(slice(segment), rows, columns)), kind: "moved" };
        told.set(about, positionWords(positions, index, segment !== null));
      }
    }
    if (at) lines.push({ path: crossOf(at[1], at[2]), kind: "picked" });
    if (this.pick) lines.push({ path: boxOf(this.pick), kind: "picked" });
    for (const panel of this.panels) {
      const fixed = $("outlines").checked ? (panel.fixed ?? []) : [];
      panel.lines = moved ? [...fixed, moved, ...lines] : [...fixed, ...lines];
      this.read(panel, at, told);
    }
    this.redraw();
  }

  read(panel, at, told) {
    const [, rows, columns] = this.size;
    if (panel.mark) panel.mark.hidden = true;
    if (!at) {
      panel.reading.textContent = "";
      return;
    }
    const place = `${this.size[0] > 1 ? `slice ${at[0]}, ` : ""}row ${at[1] * this.image.step}, column ${at[2] * this.image.step}`;
    if (panel.kind === "image") {
      panel.reading.textContent = place;
      return;
    }
    const value = panel.values ? panel.values[(at[0] * rows + at[1]) * columns + at[2]] : NaN;
    const words = Number.isNaN(value) ? "no value" : `${written(value)}${panel.unit ? ` ${panel.unit}` : ""}`;
    panel.reading.textContent = `${place}: ${words}${told.has(panel.part) ? `. ${told.get(panel.part)}` : ""}`;
    const [first, last] = panel.limits ?? [0, 0];
    if (!Number.isNaN(value) && last > first) {
      panel.mark.hidden = false;
      panel.mark.style.left = `calc(${(100 * Math.min(1, Math.max(0, (value - first) / (last - first)))).toFixed(2)}% - 1px)`;
    }
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const still = this.view.zoom === 1 && tool() === "pick"; // so that a finger can scroll the page
      for (const canvas of document.querySelectorAll("canvas")) canvas.classList.toggle("still", still);
      const swiping = mode() === "swipe";
      if (swiping) this.drawSwiped();
      else for (const panel of this.panels) panel.draw();
    });
  }

  drawSwiped() {
    const [left, right] = ["left", "right"].map((id) => this.panels[Number($(id).value)] ?? this.panels[0]);
    const divider = Number($("divider").value) / 100;
    const { swiped } = this;
    for (const [panel, part] of [[left, [0, divider]], [right, [divider, 1]]]) {
      swiped.picture = panel.picture;
      swiped.lines = panel.lines;
      swiped.draw(part);
    }
    const context = swiped.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#ffffff";
    context.fillRect(divider * swiped.canvas.width - 1, 0, 2, swiped.canvas.height);
    $("swiped-reading").textContent = [left, right].map((panel) => `${panel.name}: ${panel.reading.textContent}`).join("  |  ");
  }

  // ---- questions

  async ask(from, to) {
    const began = performance.now();
    const clamp = (value, side) => Math.min(side - 1, Math.max(0, value));
    const [rows, columns] = [this.size[1], this.size[2]];
    const corner = [Math.min(from[0], to[0]), Math.min(from[1], to[1])].map((value, axis) => clamp(value, [rows, columns][axis]));
    const end = [Math.max(from[0], to[0]), Math.max(from[1], to[1])].map((value, axis) => clamp(value, [rows, columns][axis]));
    if (!this.asksPixels) return;
    this.pick = [corner, end];
    let answered = 0;
    for (const part of this.shown) {
      if (!part.factors && !part.live) continue;
      const answer = await (part.live ? this.liveAnswer(part, corner, end) : this.storedAnswer(part, corner, end));
      if (!answer) continue;
      this.answers.set(part, answer);
      answered += 1;
      for (const panel of this.panels) {
        if (panel.part === part) panel.layer = panel.select.value = PICKED;
      }
    }
    if (answered) await this.refresh();
    else await this.point();
    const took = performance.now() - began;
    document.body.dataset.answered = took.toFixed(1);
    const name = nameOf(corner, end, this.image.step);
    $("answer").textContent = answered
      ? `What drives ${name}: answered in ${took.toFixed(0)} ms.`
      : `${name} was not explained: ask about a pixel inside the outline.`;
  }

  async storedAnswer(part, corner, end) {
    const factors = await part.factors();
    const [, rows, columns] = factors.size;
    const wanted = new Set();
    const depth = Math.floor(this.depth / (factors.size[0] < this.size[0] ? factors.step : 1));
    for (let r = corner[0]; r <= end[0]; r++) {
      for (let c = corner[1]; c <= end[1]; c++) {
        const row = factors.rows[(depth * rows + Math.floor(r / factors.step)) * columns + Math.floor(c / factors.step)];
        if (row >= 0) wanted.add(row);
      }
    }
    if (!wanted.size) return null;
    const values = repeated(productOf(factors, [...wanted]), factors.size, factors.step, this.size);
    return { values, name: nameOf(corner, end, this.image.step) };
  }

  async liveAnswer(part, corner, end) {
    const query = new URLSearchParams({ depth: this.depth, row: corner[0], column: corner[1], last_row: end[0], last_column: end[1] });
    const response = await fetch(`${part.live}?${query}`);
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(await response.text());
    return { values: new Float32Array(await response.arrayBuffer()), name: nameOf(corner, end, this.image.step) };
  }

  forget() {
    this.pick = null;
    this.answers.clear();
    for (const panel of this.panels) {
      if (panel.layer === PICKED) panel.layer = panel.select.value = panel.part.layers[0].id;
    }
    $("answer").textContent = "";
    this.refresh();
  }

  // ---- the view

  zoomTo(zoom, place = [this.view.row, this.view.column]) {
    const next = Math.min(40, Math.max(1, zoom));
    const share = this.view.zoom / next;
    this.view.row = place[0] + (this.view.row - place[0]) * share;
    this.view.column = place[1] + (this.view.column - place[1]) * share;
    this.view.zoom = next;
    if (next === 1) this.fit();
    this.redraw();
  }

  fit() {
    Object.assign(this.view, { zoom: 1, row: this.size[1] / 2, column: this.size[2] / 2 });
    this.redraw();
  }

  // How the page looks around the pictures.
  look() {
    const swiping = mode() === "swipe";
    $("swipe").hidden = !swiping;
    $("panels").hidden = swiping;
    $("swiped").style.aspectRatio = String(this.size[2] / this.size[1]);
    $("opacity-value").textContent = `${$("opacity").value} %`;
    $("top-value").textContent = `${$("top").value} %`;
    $("slice-value").textContent = `${this.depth + 1} of ${this.size[0]}`;
    for (const canvas of document.querySelectorAll("canvas")) canvas.classList.toggle("moving", tool() === "move");
    const hints = [];
    if (this.asksPixels) hints.push("Click a pixel of the segment, or drag over several: which pixels of the image drive it?");
    if (this.shown.some((part) => part.positions)) hints.push("Point at a map of hidden parts: what was hidden there, and the segment that the network then drew (pink).");
    hints.push("The image shines through the maps: set the opacity to 100 % to read colours off the scale. Wheel or pinch to zoom; ? lists the keys.");
    $("hint").textContent = hints.join(" ");
  }

  describe() {
    const articles = this.cases.map((part) => {
      const article = made("article");
      article.append(made("h2", `${part.name}: ${part.target}`), made("p", part.words));
      for (const note of part.notes) article.append(made("p", note));
      const facts = made("div", null, { class: "facts" });
      for (const [name, rows] of part.facts) {
        if (!rows.length) continue;
        const table = made("table");
        table.append(made("caption", name));
        for (const [key, value] of rows) {
          const row = made("tr");
          row.append(made("th", key, { scope: "row" }), made("td", value));
          table.append(row);
        }
        facts.append(table);
      }
      article.append(facts, made("pre", part.code));
      return article;
    });
    $("about").replaceChildren(...articles);
  }
}
