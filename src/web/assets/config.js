// One draft of lvs.cf, as text and as forms; what lvs says about it; and how it is put in force.
import { fault, send } from "./api.js";
import { refresh } from "./live.js";

const part = (name) => document.getElementById(name);
const draft = part("draft");
const KEPT = `piranha.draft.${location.pathname}`;
const begun = draft.value;

let reviewed = null;
let asking = 0;
let later = 0;
let directives = null;
let outline = null;

// Browsers make line feeds of the line ends of a file; it gets its own back.
function text() {
  return "crlf" in draft.dataset ? draft.value.replaceAll("\n", "\r\n") : draft.value;
}

function plain(value) {
  return value.replaceAll("\r\n", "\n");
}

function element(name, words, attributes = {}) {
  const made = document.createElement(name);
  made.append(...[words].flat());
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  return made;
}

function changed() {
  sessionStorage.setItem(KEPT, JSON.stringify({ base: draft.dataset.base, text: draft.value }));
  part("discard").disabled = draft.value === begun;
  part("apply").disabled = true;
  number();
  clearTimeout(later);
  later = setTimeout(review, 300);
}

// Line numbers beside the text.
function number() {
  const lines = draft.value.split("\n").length;
  if (part("gutter").childElementCount !== lines) {
    part("gutter").replaceChildren(...Array.from({ length: lines }, (_, line) => element("span", `${line + 1}\n`)));
  }
  part("marks").textContent = draft.value;
}

async function review() {
  const own = (asking += 1);
  let said;
  try {
    said = await send("POST", "/api/v1/config/review", { text: text() });
  } catch (error) {
    if (own === asking) {
      part("sum").textContent = `${error.message}${error.mend ? `: ${error.mend}` : ""}`;
    }
    return;
  }
  if (own !== asking) {
    return;
  }
  reviewed = said;
  show(said);
  if (!part("pane-forms").hidden) {
    forms();
  }
}

function show(said) {
  const errors = said.remarks.filter((remark) => remark.severity === "error").length;
  const same = said.hash === said.in_force;
  const count = (many, one) => (many === 1 ? `1 ${one}` : `${many} ${one}s`);
  part("sum").textContent = errors > 0 ? `${count(errors, "error")}: it cannot be applied.`
    : said.refusal ? `This node cannot run it: ${said.refusal}`
    : same ? "The draft is what is in force."
    : said.changes.length === 0 ? "It means the same as what is in force."
    : `${count(said.changes.length, "change")}.${said.confirm ? " It touches a VIP or the way to the partner: unless you confirm it within a minute, it goes back by itself." : ""}`;
  part("findings").replaceChildren(...said.remarks.map(finding));
  part("changes").replaceChildren(...said.changes.map((change) => element("li", change.text, { "data-effect": change.change.effect })));
  part("apply").disabled = !said.usable || same;
  underline(said.remarks);
}

function finding(remark) {
  const { start } = remark.span;
  const jump = element("button", `${start.line}:${start.column}`, { type: "button" });
  jump.addEventListener("click", () => select(remark.span));
  const words = [element("b", `${remark.severity} ${remark.code}`), ` ${remark.message}`];
  if (remark.help) {
    words.push(element("small", remark.help));
  }
  return element("li", [jump, " ", element("span", words)], { class: remark.severity, "data-line": start.line, "data-column": start.column, "data-code": remark.code });
}

function offset(place) {
  const lines = draft.value.split("\n");
  const before = lines.slice(0, place.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
  // Columns count characters, the places of a text area units of UTF-16.
  const line = [...(lines[place.line - 1] ?? "")].slice(0, place.column - 1).join("");
  return before + line.length;
}

function select(span) {
  choose("text");
  draft.focus();
  draft.setSelectionRange(offset(span.start), offset(span.end));
  const high = draft.scrollHeight / draft.value.split("\n").length;
  draft.scrollTop = Math.max(0, (span.start.line - 5) * high);
}

function underline(remarks) {
  const spans = remarks
    .filter((remark) => remark.file === draft.dataset.file)
    .map((remark) => [offset(remark.span.start), offset(remark.span.end), remark])
    .sort((one, other) => one[0] - other[0]);
  const pieces = [];
  let at = 0;
  for (const [start, end, remark] of spans) {
    if (start < at) {
      continue;
    }
    const stop = Math.max(end, start + 1);
    pieces.push(draft.value.slice(at, start), element("mark", draft.value.slice(start, stop), { class: remark.severity }));
    at = stop;
  }
  part("marks").replaceChildren(...pieces, draft.value.slice(at), "\n");
  const lines = new Set(spans.map(([, , remark]) => remark.span.start.line));
  [...part("gutter").children].forEach((line, index) => line.classList.toggle("marked", lines.has(index + 1)));
}

function replace(value) {
  draft.value = plain(value);
  changed();
}

// Forms.

const SCOPES = ["global", "virtual", "server"];

function places() {
  const all = [{ path: [], section: outline, label: "the cluster" }];
  for (const service of outline.sections) {
    all.push({ path: [service.name], section: service, label: `service ${service.name}` });
    for (const server of service.sections) {
      all.push({ path: [service.name, server.name], section: server, label: `service ${service.name}: server ${server.name}` });
    }
  }
  return all;
}

async function forms() {
  const problem = part("form-fault");
  try {
    directives ??= (await send("GET", "/api/v1/config/directives")).directives;
    outline = await send("POST", "/api/v1/config/outline", { text: text() });
    problem.hidden = true;
  } catch (error) {
    problem.textContent = `${error.message}: mend that in the text first.`;
    problem.hidden = false;
    return;
  }
  const held = part("place").value;
  const all = places();
  part("place").replaceChildren(...all.map((place) => element("option", place.label, { value: JSON.stringify(place.path) })));
  part("place").value = all.some((place) => JSON.stringify(place.path) === held) ? held : "[]";
  settings();
}

function settings() {
  if (outline === null) {
    return;
  }
  const path = JSON.parse(part("place").value);
  const place = places().find((one) => JSON.stringify(one.path) === part("place").value);
  part("add-server").disabled = path.length === 0;
  part("rename-block").disabled = path.length === 0;
  part("remove-block").disabled = path.length === 0;
  const sought = part("seek").value.trim().toLowerCase();
  const rows = [];
  for (const row of directives.filter((one) => one.scope === SCOPES[path.length])) {
    const said = place.section.settings.filter((one) => one.directive === row.directive);
    const items = place.section.several?.[row.directive];
    const written = said.some((one) => one.origin === "written") || items?.length > 0;
    const found = `${row.directive} ${row.meaning}`.toLowerCase().includes(sought);
    if (found && (written || part("all").checked || sought)) {
      rows.push(setting(path, row, said, { written, items }));
    }
  }
  const held = document.activeElement?.dataset?.directive;
  part("settings").replaceChildren(...rows);
  if (held) {
    part("settings").querySelector(`[data-directive="${CSS.escape(held)}"]`)?.focus();
  }
}

// One field for each time a directive stands there, and one for one more.
function several(path, row, items) {
  const field = (value, number, attributes) => {
    const box = element("input", [], { "data-directive": `${row.directive} ${number}`, title: row.value, autocomplete: "off", spellcheck: "false", ...attributes });
    box.value = value;
    return box;
  };
  const change = (box, what) => edit(path, { directive: row.directive, value: box.value, ...what }, box);
  const lines = items.map((value, index) => {
    const nth = index + 1;
    const box = field(value, nth, { "aria-label": `${row.directive}, number ${nth}` });
    box.addEventListener("change", () => change(box, { action: box.value === "" ? "unset" : "set", nth }));
    const gone = element("button", "Remove", { type: "button", "aria-label": `Remove ${row.directive}, number ${nth}` });
    gone.addEventListener("click", () => change(box, { action: "unset", nth }));
    return element("div", [box, gone], { class: "pair" });
  });
  const more = field("", items.length + 1, { "aria-label": `${row.directive}, one more`, placeholder: "one more" });
  more.addEventListener("change", () => more.value && change(more, { action: "push" }));
  return element("div", [...lines, more], { class: "several" });
}

function setting(path, row, said, { written, items }) {
  const [first] = said;
  const from = !first ? "not set" : first.origin === "follows" ? `follows ${first.from}` : first.origin === "default" ? "default" : first.file ? `${first.file}:${first.line}` : `line ${first.line}`;
  const repeated = row.repeatable && items;
  const fixed = !repeated && (row.repeatable || row.escaped || Boolean(first?.file));
  const value = said.map((one) => one.value).join(", ");
  const box = repeated ? several(path, row, items)
    : fixed ? element("code", value || "–") : field(row, written ? value : "", first?.value ?? row.default);
  const words = [row.directive, element("small", row.meaning)];
  if (fixed) {
    words.push(element("small", "edited in the text"));
  } else if (!repeated) {
    box.addEventListener("change", () => edit(path, { action: box.value === "" ? "unset" : "set", directive: row.directive, value: box.value }, box));
  }
  return element("tr", [element("th", words, { scope: "row" }), element("td", box), element("td", from, { class: "quiet" })]);
}

function field(row, value, otherwise) {
  const attributes = { "aria-label": row.directive, "data-directive": row.directive, title: row.value };
  if (row.words.length === 0) {
    const input = element("input", [], { ...attributes, placeholder: otherwise ?? "", autocomplete: "off", spellcheck: "false" });
    input.value = value;
    return input;
  }
  const options = row.words.map((word) => element("option", word));
  const input = element("select", [element("option", `${otherwise || "not set"} (not written)`, { value: "" }), ...options], attributes);
  input.value = value;
  return input;
}

async function edit(path, change, box) {
  const [service, server] = path;
  try {
    const made = await send("POST", "/api/v1/config/edit", { text: text(), service, server, ...change });
    part("form-fault").hidden = true;
    box?.setCustomValidity("");
    replace(made.text);
    return true;
  } catch (error) {
    part("form-fault").textContent = error.message;
    part("form-fault").hidden = false;
    box?.setCustomValidity(error.message);
    return false;
  }
}

async function block(action, path) {
  const name = part("new-name").value.trim();
  const place = action === "add" ? [...path, name] : path;
  if (await edit(place, { action, name })) {
    part("new-name").value = "";
    part("place").value = "[]";
    await forms();
    const now = { add: place, remove: [], rename: [...path.slice(0, -1), name] }[action];
    part("place").value = JSON.stringify(now);
    settings();
  }
}

// Import.

async function express() {
  const foreign = part("foreign").value;
  const from = part("foreign-from").value;
  part("import-fault").hidden = true;
  part("lost").replaceChildren();
  if (from === "lvs") {
    replace(foreign);
    return;
  }
  const given = (name) => part(`foreign-${name}`).value.trim() || undefined;
  try {
    const said = await send("POST", "/api/v1/config/import", { text: foreign, from, primary: given("primary"), backup: given("backup"), device: given("device") });
    replace(said.text);
    const first = said.complete ? "All of it is expressed." : `${said.lost} things could not be expressed.`;
    part("lost").replaceChildren(element("li", element("b", `${said.from}: ${first}`)), ...said.remarks.map((remark) => element("li", remark.in_words, { class: remark.fate === "lost" ? "warning" : "" })));
  } catch (error) {
    part("import-fault").textContent = `${error.message}: ${error.mend}`;
    part("import-fault").hidden = false;
  }
}

// In force.

async function apply() {
  const problem = part("apply-fault");
  const within = part("within").value;
  const own = "revision" in draft.dataset && draft.value === begun;
  const body = {
    ...(own ? { revision: draft.dataset.revision } : { text: text() }),
    reason: part("reason").value.trim() || undefined,
    confirm_within: within === "" ? undefined : Number(within),
    partner: part("partner").checked,
  };
  part("apply").disabled = true;
  try {
    const done = await send("POST", "/api/v1/config/apply", body, { "if-match": `"${draft.dataset.base}"` });
    draft.dataset.base = reviewed.hash;
    sessionStorage.removeItem(KEPT);
    problem.hidden = true;
    const words = [`Revision ${done.revision} is in force${done.pending ? " on trial: confirm it above" : ""}.`];
    words.push(...done.restart.map((what) => `Only after a restart of pulse: ${what}.`));
    if (done.partner) {
      words.push(done.partner.done ? "The partner has it too." : `The partner does not have it: ${done.partner.why}.`);
    }
    part("sum").textContent = words.join(" ");
    setTimeout(refresh, 300);
  } catch (error) {
    const stale = error.code === "stale" ? " Your draft is kept here; open this page in another tab to see the file as it is now." : "";
    problem.textContent = `${error.message}${error.mend ? `: ${error.mend}` : ""}.${stale}`;
    problem.hidden = false;
  }
}

function choose(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    part(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (name === "forms") {
    forms();
  }
}

function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")];
  all[0].parentElement.hidden = false;
  for (const [place, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab.id.slice(4)));
    tab.addEventListener("keydown", (key) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key.key];
      if (step) {
        const next = all[(place + step + all.length) % all.length];
        next.focus();
        choose(next.id.slice(4));
      }
    });
  }
}

// A draft that was begun from the same file and not applied is still there.
function resume() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (kept && kept.base === draft.dataset.base && !("revision" in draft.dataset)) {
    draft.value = kept.text;
  }
}

tabs();
resume();
draft.addEventListener("input", changed);
draft.addEventListener("scroll", () => {
  part("gutter").scrollTop = draft.scrollTop;
  part("marks").scrollTop = draft.scrollTop;
  part("marks").scrollLeft = draft.scrollLeft;
});
part("place").addEventListener("change", settings);
part("seek").addEventListener("input", settings);
part("all").addEventListener("change", settings);
part("add-service").addEventListener("click", () => block("add", []));
part("add-server").addEventListener("click", () => block("add", JSON.parse(part("place").value).slice(0, 1)));
part("rename-block").addEventListener("click", () => block("rename", JSON.parse(part("place").value)));
part("remove-block").addEventListener("click", () => block("remove", JSON.parse(part("place").value)));
part("express").addEventListener("click", express);
part("foreign-file").addEventListener("change", async (change) => {
  part("foreign").value = (await change.target.files[0]?.text()) ?? "";
});
part("apply").addEventListener("click", apply);
part("discard").addEventListener("click", () => {
  sessionStorage.removeItem(KEPT);
  fault(null);
  draft.value = begun;
  changed();
});
part("discard").disabled = draft.value === begun;
number();
review();
