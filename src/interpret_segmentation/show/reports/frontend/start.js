"use strict";

// The page comes to life: every control is tied to what it does.

function dark() {
  const root = document.documentElement;
  const is = root.dataset.theme === "dark";
  root.dataset.theme = is ? "light" : "dark";
  $("theme").textContent = is ? "Dark" : "Light";
}

async function start() {
  const content = JSON.parse($("content").textContent);
  const report = new Report(content);
  const night = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = night ? "light" : "dark";
  dark();
  options($("image"), content.images.map((image, at) => [String(at), image.name]));
  visible("image", content.images.length > 1);
  options($("colours"), content.colours.map((table) => [table.name, table.diverging ? `${table.name} (signed)` : table.name]));
  const failed = (error) => ($("answer").textContent = `Something went wrong: ${error.message}`);
  const tell = (action) => (...given) => Promise.resolve(action(...given)).catch(failed);
  $("controls").onsubmit = () => false;
  $("image").onchange = tell(() => report.open(Number($("image").value)));
  $("class").onchange = tell(() => report.choose());
  for (const id of ["plane", "colours"]) $(id).onchange = tell(() => report.refresh());
  for (const id of ["opacity", "top"]) $(id).oninput = tell(() => report.refresh());
  $("slice").oninput = tell(() => {
    report.depth = Number($("slice").value);
    return report.refresh();
  });
  $("outlines").onchange = tell(() => report.point());
  for (const id of ["left", "right"]) $(id).onchange = () => report.redraw();
  $("divider").oninput = () => report.redraw();
  for (const input of document.querySelectorAll("[name=view], [name=tool]")) {
    input.onchange = () => {
      report.look();
      report.redraw();
    };
  }
  $("in").onclick = () => report.zoomTo(report.view.zoom * 1.5);
  $("out").onclick = () => report.zoomTo(report.view.zoom / 1.5);
  $("fit").onclick = () => report.fit();
  $("theme").onclick = dark;
  $("help").onclick = () => $("keys").showModal();
  document.addEventListener("keydown", (event) => shortcut(event, report));
  window.addEventListener("unhandledrejection", (event) => failed(event.reason));
  window.report = report; // for the console, and for tests
  await report.open(0);
  document.body.dataset.ready = "yes";
}

function shortcut(event, report) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (["INPUT", "SELECT"].includes(event.target.tagName) && event.key !== "Escape") return;
  const press = (id, by) => {
    $(id).value = String(Number($(id).value) + by);
    $(id).oninput();
  };
  const click = (name, values) => {
    const now = document.querySelector(`[name=${name}]:checked`).value;
    const next = document.querySelector(`[name=${name}][value=${values.find((value) => value !== now)}]`);
    next.checked = true;
    next.onchange();
  };
  const actions = {
    "+": () => $("in").onclick(),
    "-": () => $("out").onclick(),
    0: () => $("fit").onclick(),
    "[": () => press("opacity", -5),
    "]": () => press("opacity", 5),
    ",": () => press("slice", -1),
    ".": () => press("slice", 1),
    o: () => $("outlines").click(),
    s: () => click("view", ["side", "swipe"]),
    m: () => click("tool", ["pick", "move"]),
    d: dark,
    "?": () => $("keys").showModal(),
    Escape: () => report.forget(),
  };
  actions[event.key]?.();
}

start().catch((error) => ($("answer").textContent = `This page cannot be shown: ${error.message}`));
