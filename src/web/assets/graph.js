// What went through a service: lines over time, with its events as marks.
import { bytes, count } from "./number.js";

const WIDE = 600;
const HIGH = 120;
const SVG = "http://www.w3.org/2000/svg";
const SERIES = { cps: ["Connections per second", count], active: ["Active connections", count], out: ["Bytes out per second", bytes], up: ["Servers up", count] };

const place = document.getElementById("graphs");
const range = document.getElementById("range");

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  return made;
}

async function ask(path) {
  const response = await fetch(path, { headers: { "x-piranha-passive": "1" } });
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  return response.json();
}

// Where nothing was known the line is broken.
function line(values, most) {
  let pen = "M";
  return values.map((value, index) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const point = `${pen}${((index / Math.max(1, values.length - 1)) * WIDE).toFixed(1)} ${(HIGH - 2 - (value / most) * (HIGH - 12)).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

function marks(events, from, span) {
  const { service } = place.dataset;
  return events
    .filter((told) => told.event.health?.service === service)
    .map((told) => [(new Date(told.at) - from) / span, told])
    .filter(([at]) => at >= 0 && at <= 1)
    .map(([at, told]) => {
      const mark = shape("line", { x1: at * WIDE, x2: at * WIDE, y1: 0, y2: HIGH, class: told.warning ? "mark warning" : "mark" });
      mark.append(shape("title", {}));
      mark.firstChild.textContent = `${told.at} ${told.text}`;
      return mark;
    });
}

function draw(name, told, events) {
  const [label, words] = SERIES[name];
  const { values } = told;
  const known = values.filter((value) => value !== null);
  const most = Math.max(1, ...known);
  const from = new Date(told.from);
  const span = told.step_ms * Math.max(1, values.length - 1);
  const last = values.findLast((value) => value !== null);
  const figure = document.getElementById(`graph-${name}`) ?? place.appendChild(Object.assign(document.createElement("figure"), { id: `graph-${name}` }));
  const summary = known.length === 0 ? "nothing known" : `now ${words(last)}, at most ${words(most)}`;
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": `${label}: ${summary}`, class: "graph" });
  svg.append(...marks(events, from, span), shape("path", { d: line(values, most) }));
  const caption = document.createElement("figcaption");
  caption.textContent = `${label}: ${summary}`;
  svg.addEventListener("pointermove", (move) => {
    const box = svg.getBoundingClientRect();
    const index = Math.round(((move.clientX - box.left) / box.width) * (values.length - 1));
    const value = values[index];
    const at = new Date(from.getTime() + index * told.step_ms).toISOString().slice(11, 19);
    caption.textContent = `${label}: ${value === null || value === undefined ? "not known" : words(value)} at ${at} UTC`;
  });
  svg.addEventListener("pointerleave", () => {
    caption.textContent = `${label}: ${summary}`;
  });
  figure.replaceChildren(caption, svg);
}

async function show() {
  if (document.hidden || place.matches(":hover")) {
    return;
  }
  try {
    const service = encodeURIComponent(place.dataset.service);
    const { events } = await ask("/api/v1/events");
    for (const name of Object.keys(SERIES)) {
      draw(name, await ask(`/api/v1/history?service=${service}&series=${name}&range=${range.value}`), events);
    }
  } catch {
    // The clock says that nothing comes.
  }
}

range.parentElement.hidden = false;
range.addEventListener("change", show);
setInterval(show, 5000);
show();
