"use strict";

// What the pointer, the wheel and the keys do on a panel.

function listen(report, panel, canvas) {
  canvas.dataset.listens = "yes";
  const target = () => (canvas.id === "swiped" ? report.swiped : panel);
  const inside = (place) => place.every((value, axis) => value >= 0 && value < report.size[axis + 1]);
  const touches = new Map();
  let begun = null;
  let spread = null;
  const moves = (event) => tool() === "move" || event.button === 1 || event.shiftKey;

  canvas.onpointerdown = (event) => {
    touches.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
    begun = { place: target().placeOf(event), view: { ...report.view }, moves: moves(event), x: event.clientX, y: event.clientY };
    if (touches.size === 2) spread = { apart: apart(touches), zoom: report.view.zoom };
  };
  canvas.onpointermove = (event) => {
    if (touches.has(event.pointerId)) touches.set(event.pointerId, event);
    if (touches.size === 2 && spread) {
      report.zoomTo((spread.zoom * apart(touches)) / spread.apart, target().placeOf(event));
      return;
    }
    if (begun?.moves) {
      const { scale } = target();
      report.view.row = begun.view.row - (event.clientY - begun.y) / scale;
      report.view.column = begun.view.column - (event.clientX - begun.x) / scale;
      report.redraw();
      return;
    }
    const place = target().placeOf(event).map(Math.floor);
    if (!inside(place)) return;
    report.hovered = panel.part ?? null;
    report.cursor = [report.depth, ...place];
    if (begun && report.asksPixels) report.pick = sorted(begun.place.map(Math.floor), place);
    report.point();
  };
  canvas.onpointerup = (event) => {
    const was = begun;
    const pinched = spread !== null;
    touches.delete(event.pointerId);
    if (!touches.size) [begun, spread] = [null, null];
    if (!was || was.moves || pinched) return;
    const place = target().placeOf(event).map(Math.floor);
    if (!inside(was.place)) return;
    report.cursor = [report.depth, ...was.place.map(Math.floor)];
    report.ask(was.place.map(Math.floor), place);
  };
  canvas.onpointercancel = (event) => {
    touches.delete(event.pointerId);
    [begun, spread] = [null, null];
  };
  canvas.onpointerleave = () => {
    if (begun || document.activeElement === canvas) return;
    report.cursor = null;
    report.point();
  };
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && report.view.zoom === 1 && event.deltaY > 0) return;
    event.preventDefault();
    report.zoomTo(report.view.zoom * Math.exp(-event.deltaY / 400), target().placeOf(event));
  }, { passive: false });
  canvas.onkeydown = (event) => press(report, event);
}

function press(report, event) {
  const step = event.shiftKey ? 10 : 1;
  const ways = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
  if (event.key in ways) {
    const at = report.cursor ?? [report.depth, Math.floor(report.view.row), Math.floor(report.view.column)];
    report.cursor = [report.depth, ...ways[event.key].map((by, axis) => Math.min(report.size[axis + 1] - 1, Math.max(0, at[axis + 1] + by)))];
    report.point();
  } else if (event.key === "Enter" && report.cursor) {
    report.ask(report.cursor.slice(1), report.cursor.slice(1));
  } else {
    return;
  }
  event.preventDefault();
}

function sorted(one, other) {
  return [[Math.min(one[0], other[0]), Math.min(one[1], other[1])], [Math.max(one[0], other[0]), Math.max(one[1], other[1])]];
}

function apart(touches) {
  const [one, other] = [...touches.values()];
  return Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
}
