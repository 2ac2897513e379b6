// Keeps the page as the server sees things, and says so when it cannot.
import { bytes, count } from "./number.js";

const STALE = 3000;
const AGES = 10000;
const NUMBERS = ["cps", "active", "inactive", "in", "out"];

let last = 0;
let live = null;
let refreshing = false;
let again = false;

function merge(target, patch) {
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) {
      delete target[name];
    } else if (typeof change === "object" && !Array.isArray(change) && typeof target[name] === "object" && target[name] !== null) {
      merge(target[name], change);
    } else {
      target[name] = change;
    }
  }
}

// Whether a change is more than numbers, so that rows have to be drawn anew.
function isShape(patch) {
  return Object.entries(patch).some(([name, change]) => {
    if (name === "at" || NUMBERS.includes(name)) {
      return false;
    }
    if (change === null || typeof change !== "object" || Array.isArray(change)) {
      return true;
    }
    return isShape(change);
  });
}

function show(row, values) {
  for (const cell of row.querySelectorAll(":scope > [data-n]")) {
    const value = values[cell.dataset.n];
    const text = value === undefined || value === null ? "" : (cell.dataset.unit === "bytes" ? bytes : count)(value);
    if (cell.textContent !== text) {
      cell.textContent = text;
    }
  }
  const connections = row.querySelector(":scope > [data-connections]");
  if (connections && typeof values.active === "number") {
    connections.dataset.connections = values.active;
  }
}

function patchRows(services) {
  for (const row of document.querySelectorAll("tr[data-service]")) {
    const service = services[row.dataset.service];
    if (!service) {
      continue;
    }
    const { server } = row.dataset;
    const change = server === undefined ? service : (service.servers || {})[server];
    if (change && NUMBERS.some((name) => name in change)) {
      const known = live.services[row.dataset.service];
      show(row, server === undefined ? known : known.servers[server]);
    }
  }
}

// The values that the server drew.
function drawn(line) {
  const points = (line.getAttribute("points") || "").split(" ").filter(Boolean);
  return points.map((point) => ((15 - Number(point.split(",")[1])) / 14) * Number(line.dataset.most));
}

// Each second moves the line of the last minute on by one.
function advance() {
  for (const line of document.querySelectorAll("tr[data-service]:not([data-server]) .spark polyline")) {
    const row = line.closest("tr");
    const value = live.services[row.dataset.service]?.cps ?? 0;
    line.values ??= drawn(line);
    line.values.push(value);
    line.values.splice(0, line.values.length - 60);
    const most = Math.max(1, ...line.values);
    line.setAttribute("points", line.values.map((v, x) => `${x},${(15 - (v / most) * 14).toFixed(1)}`).join(" "));
  }
}

// What a page does by itself keeps no session alive, but of a viewer's screen on the wall.
function passive() {
  return document.body.dataset.kiosk === "viewer" ? {} : { "x-piranha-passive": "1" };
}

// Draws anew what differs, but never under the pointer or the keyboard of a user.
export async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const response = await fetch(location.href, { headers: passive() });
    if (response.redirected && new URL(response.url).pathname === "/login") {
      location.reload();
      return;
    }
    if (response.ok) {
      swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    }
  } catch {
    // The clock says that nothing comes.
  } finally {
    refreshing = false;
    if (again) {
      again = false;
      setTimeout(refresh, 500);
    }
  }
}

function swap(fresh) {
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || part.outerHTML === next.outerHTML) {
      continue;
    }
    const held = part.contains(document.activeElement) ? path(part, document.activeElement) : null;
    part.replaceWith(next);
    if (held) {
      find(next, held)?.focus({ preventScroll: true });
    }
  }
  document.dispatchEvent(new Event("drawn"));
}

// Where an element is, by what it is about: the row and what it does.
function path(part, element) {
  const row = element.closest("tr[data-service]");
  return { service: row?.dataset.service, server: row?.dataset.server, kind: kind(element) };
}

const kind = (element) => JSON.stringify([element.tagName, element.getAttribute("href"), element.dataset]);

function find(part, held) {
  const rows = [...part.querySelectorAll("tr[data-service]")];
  const row = rows.find((r) => r.dataset.service === held.service && r.dataset.server === held.server);
  return [...(row ?? part).querySelectorAll("a, button, input")].find((element) => kind(element) === held.kind);
}

function heard(data) {
  last = performance.now();
  const clock = document.getElementById("clock");
  const time = new Date(data.at).toISOString().slice(11, 19);
  clock.textContent = `live · ${time} UTC`;
  if (document.body.classList.contains("stale-page")) {
    document.body.classList.remove("stale-page");
    document.getElementById("stale").hidden = true;
    refresh();
  }
}

// What was up a while ago is not known to be up.
function fade() {
  for (const state of document.querySelectorAll('main .state:not([data-state="unknown"]), .top .state:not([data-state="unknown"])')) {
    if (state.closest(".narrow")) {
      continue;
    }
    state.dataset.state = "unknown";
    state.querySelector("use").setAttribute("href", "#g-unknown");
    state.querySelector("b").textContent = "UNKNOWN";
  }
  document.title = `STALE · ${document.title.replace(/^(STALE · )+/, "")}`;
}

// What a change on trial still has.
function countDown() {
  for (const left of document.querySelectorAll("[data-left]")) {
    left.dataset.left = Math.max(0, Number(left.dataset.left) - 1);
    left.textContent = `${left.dataset.left} s`;
  }
}

function watch() {
  const age = performance.now() - last;
  if (last === 0 || age < STALE) {
    return;
  }
  const seconds = Math.floor(age / 1000);
  document.getElementById("clock").textContent = `stale · ${seconds} s`;
  if (!document.body.classList.contains("stale-page")) {
    document.body.classList.add("stale-page");
    const banner = document.getElementById("stale");
    banner.textContent = "The server does not answer: nothing here is known to be so now.";
    banner.hidden = false;
    fade();
  }
}

function say(text) {
  document.getElementById("say").textContent = text;
}

export function start() {
  let stream = null;
  const open = () => {
    stream = new EventSource("/api/v1/stream");
    stream.addEventListener("snapshot", (message) => {
      const first = live === null;
      live = JSON.parse(message.data);
      heard(live);
      if (!first) {
        refresh();
      }
    });
    for (const name of ["delta", "ping"]) {
      stream.addEventListener(name, (message) => {
        const change = JSON.parse(message.data);
        if (live === null) {
          return;
        }
        merge(live, change);
        heard(live);
        if (change.services) {
          patchRows(change.services);
        }
        advance();
        if (isShape(change)) {
          refresh();
        }
      });
    }
    stream.addEventListener("event", (message) => {
      const told = JSON.parse(message.data);
      if (told.warning || "transition" in told.event || "health" in told.event) {
        say(told.text);
      }
      if (document.getElementById("events")) {
        refresh();
      }
    });
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) {
        setTimeout(open, 2000);
      }
    };
  };
  open();
  last = performance.now();
  setInterval(watch, 500);
  setInterval(countDown, 1000);
  // Ages are text: they are drawn anew now and then.
  setInterval(() => {
    if (!document.hidden && !document.body.classList.contains("stale-page")) {
      refresh();
    }
  }, AGES);
  // A page nobody sees needs no stream.
  document.addEventListener("visibilitychange", () => {
    stream.close();
    if (!document.hidden) {
      open();
    }
  });
}
