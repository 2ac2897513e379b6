// What operators do, with what will happen said before.
import { confirmed, fault, send } from "./api.js";
import { refresh } from "./live.js";
import { chosen, start as mark, unmark } from "./mark.js";

const part = (name) => document.getElementById(`act-${name}`);

const ACTS = {
  drain: {
    title: (of) => `Drain ${of.target}`,
    words: (of) => `No new connections. ${of.connections} active go on to their end. Clients with persistence may still arrive. ${of.scope}`,
    go: "Drain",
    keepsOut: true,
    until: true,
  },
  disable: {
    title: (of) => `Disable ${of.target}`,
    words: (of) => `Taken out at once: ${of.connections} active connections may be lost. ${of.scope}`,
    go: "Disable",
    keepsOut: true,
    until: true,
  },
  weight: {
    title: (of) => `Weight of ${of.target}`,
    words: (of) => `Now ${of.weight}. A weight of 0 takes no new connections. ${of.scope}`,
    go: "Set weight",
    until: true,
    weight: true,
  },
  ready: {
    title: (of) => `Ready ${of.target}`,
    words: (of) => `What was said of it ends; lvs.cf and its checks decide again. ${of.scope}`,
    go: "Ready",
  },
  failover: {
    title: () => "Switch over now",
    words: (of) => `The partner takes the addresses of the service, once it has said that it does. ${of.node} gives them up. Connections through the relay end with their data plane; those of the kernel go on where connections are synchronised.`,
    go: "Switch over",
    named: true,
  },
  maintenance: {
    title: (of) => `Maintenance of ${of.node}`,
    words: (of) => `${of.node} passes the service on if it has it, and does not take over until maintenance ends. If the partner fails meanwhile, nobody takes over.`,
    go: "Begin maintenance",
    named: true,
  },
  resume: {
    title: (of) => `End maintenance of ${of.node}`,
    words: (of) => `${of.node} may take over again.`,
    go: "End maintenance",
  },
};

let current = null;

const isWhole = (row) => !("server" in row.dataset);
const names = (row) => (isWhole(row) ? `all servers of ${row.dataset.service}` : `${row.dataset.service}/${row.dataset.server}`);
const cellOf = (row) => row.querySelector(":scope > [data-connections]");

// What a button is about: the server of its row, or this node.
function one(button) {
  const row = button.closest("tr");
  const cell = button.closest("[data-connections]");
  const { node } = document.body.dataset;
  const servers = row ? [row.dataset] : [];
  return {
    act: button.dataset.act,
    service: row?.dataset.service,
    server: row?.dataset.server,
    servers: servers.map(({ service, server }) => ({ service, server })),
    target: row ? names(row) : node,
    connections: cell?.dataset.connections ?? "0",
    weight: cell?.dataset.weight ?? "",
    left: cell !== null && "last" in cell.dataset ? [row.dataset.service] : [],
    scope: `It is said to ${node}; the partner is told where the two are connected.`,
    node,
    button,
  };
}

// What it is about for all marked servers and services together.
function many(button) {
  const rows = chosen();
  const cells = rows.map(cellOf);
  const weights = [...new Set(cells.map((cell) => cell.dataset.weight))];
  return {
    ...one(button),
    act: button.dataset.bulk,
    servers: rows.map(({ dataset: { service, server } }) => ({ service, server })),
    target: rows.length === 1 ? names(rows[0]) : `${cells.reduce((sum, cell) => sum + Number(cell.dataset.servers ?? 1), 0)} servers`,
    each: rows.map((row) => inWords(row, cellOf(row).dataset)),
    connections: cells.reduce((sum, cell) => sum + (Number(cell.dataset.connections) || 0), 0),
    weight: weights.length === 1 && weights[0] !== undefined ? weights[0] : "different ones",
    left: leftBare(rows),
  };
}

function inWords(row, { connections, weight, servers }) {
  const what = isWhole(row) ? `${servers} of them` : `weight ${weight}`;
  return `${names(row)}: ${connections} active, ${what}`;
}

// Services of which no server would take connections any more.
function leftBare(rows) {
  const services = [...new Set(rows.map((row) => row.dataset.service))];
  return services.filter((service) => {
    const own = [...document.querySelectorAll("tr[data-server]")].filter((row) => row.dataset.service === service && cellOf(row));
    const whole = rows.find((row) => isWhole(row) && row.dataset.service === service);
    if (whole) {
      return "takes" in cellOf(whole).dataset;
    }
    const taking = own.filter((row) => "takes" in cellOf(row).dataset);
    return taking.length > 0 && taking.every((row) => rows.includes(row));
  });
}

function open(of) {
  const { node } = of;
  const act = ACTS[of.act];
  current = of;
  part("each").hidden = !of.each;
  part("each").replaceChildren(...(of.each ?? []).map((words) => Object.assign(document.createElement("li"), { textContent: words })));
  part("left").textContent = of.each ? `Together that leaves ${of.left.join(", ")} without a server that takes connections.` : "No other server of this service takes connections.";
  part("title").textContent = act.title(of);
  part("words").textContent = act.words(of);
  part("go").textContent = act.go;
  part("last").hidden = !(act.keepsOut && of.left.length > 0);
  part("force").checked = false;
  part("weight").hidden = !act.weight;
  part("until").hidden = !act.until;
  part("expires").value = "";
  part("named").hidden = !act.named;
  part("node").textContent = node;
  for (const name of ["name", "reason", "password"]) {
    part(name).value = "";
  }
  part("again").hidden = true;
  part("fault").hidden = true;
  const weight = /^\d+$/.test(of.weight) ? of.weight : "1";
  part("slide").max = Math.max(100, Number(weight) * 2);
  part("slide").value = weight;
  part("number").value = weight;
  share();
  judge();
  document.getElementById("act").showModal();
}

// What part of new connections a weight comes to, beside those of the other servers.
function share() {
  const { button, act, each } = current;
  const others = [...(button.closest("table")?.querySelectorAll("td[data-weight]") ?? [])]
    .filter((cell) => cell !== button.closest("td"))
    .reduce((sum, cell) => sum + (Number(cell.dataset.weight) || 0), 0);
  const own = Number(part("number").value) || 0;
  const all = own + others;
  part("share").textContent = act !== "weight" || each || all === 0 ? "" : `about ${Math.round((own / all) * 100)} % of new connections, by weight`;
}

function judge() {
  const act = ACTS[current.act];
  const blocked = !part("last").hidden && !part("force").checked;
  const unnamed = act.named && part("name").value.trim() !== current.node;
  part("go").disabled = blocked || unnamed;
}

function request(of) {
  const reason = part("reason").value.trim() || undefined;
  if (of.act === "failover") {
    return ["POST", "/api/v1/cluster/failover", { reason }];
  }
  if (of.act === "maintenance" || of.act === "resume") {
    return ["PUT", "/api/v1/maintenance", { on: of.act === "maintenance", reason }];
  }
  const target = of.each ? "/api/v1/overrides" : `${path(of)}/override`;
  if (of.act === "ready" && !of.each) {
    return ["DELETE", target, undefined];
  }
  const expires = Number(part("expires").value) || undefined;
  const body = { state: of.act, reason, expires, force: part("force").checked };
  if (of.act === "weight") {
    body.weight = Number(part("number").value);
  }
  if (of.each) {
    body.servers = of.servers.map(({ service, server }) => `${service}/${server ?? "*"}`);
  }
  return ["PUT", target, body];
}

async function go() {
  part("go").disabled = true;
  try {
    if (!part("again").hidden) {
      await send("POST", "/api/v1/session/confirm", { password: part("password").value });
    }
    const back = (await Promise.all(current.servers.map(before))).flat();
    await send(...request(current));
    document.getElementById("act").close();
    if (current.each) {
      unmark();
    }
    offer(`${part("title").textContent}: done.`, back);
    document.getElementById("say").textContent = `${part("title").textContent}: done`;
    setTimeout(refresh, 1200);
  } catch (error) {
    if (error.code === "confirm_password") {
      part("again").hidden = false;
      part("password").focus();
    }
    if (error.code === "last_server") {
      part("last").hidden = false;
    }
    part("fault").textContent = error.mend && error.code !== "confirm_password" ? `${error.message}: ${error.mend}` : error.message;
    part("fault").hidden = error.code === "confirm_password";
  } finally {
    judge();
  }
}

const path = (of) => `/api/v1/services/${encodeURIComponent(of.service)}/servers/${encodeURIComponent(of.server)}`;

// The requests that say again what is said now of a server, or of all servers of a service.
async function before(of) {
  if (of.server === undefined) {
    return beforeAll(of.service);
  }
  const { operator } = await send("GET", path(of));
  if (!operator) {
    return [["DELETE", `${path(of)}/override`, undefined]];
  }
  return [["PUT", `${path(of)}/override`, again(operator)]];
}

// What is said of the service as one comes first, so that the words of its servers stand over it.
async function beforeAll(service) {
  const { overrides } = await send("GET", "/api/v1/overrides");
  const said = overrides.filter((one) => one.service === service).sort((one, other) => one.server.localeCompare(other.server));
  const put = (server, body) => ["PUT", "/api/v1/overrides", { ...body, servers: [`${service}/${server || "*"}`] }];
  return [put("*", { state: "ready" }), ...said.map((one) => put(one.server, again(one)))];
}

function again({ word, until, reason }) {
  const state = typeof word === "string" ? word : Object.keys(word)[0];
  const left = (time) => (time ? Math.max(1, Math.round((new Date(time) - Date.now()) / 1000)) : undefined);
  return { state, weight: word.weight, deadline: left(word.drain?.deadline), expires: left(until), reason: reason ?? undefined, force: true };
}

let waning = 0;

// For a while, what was done can be taken back.
function offer(words, back) {
  const toast = document.getElementById("undo");
  toast.firstElementChild.textContent = words;
  toast.hidden = back.length === 0;
  clearTimeout(waning);
  waning = setTimeout(() => {
    toast.hidden = true;
  }, 20000);
  toast.lastElementChild.onclick = async () => {
    toast.hidden = true;
    try {
      for (const request of back) {
        await send(...request);
      }
      fault(null);
      document.getElementById("say").textContent = "Undone";
      setTimeout(refresh, 1200);
    } catch (error) {
      fault(error);
    }
  };
}

// Checks a server and shows what was said.
async function check(of) {
  const show = (name, words) => {
    document.getElementById(`told-${name}`).textContent = words;
  };
  const dialog = document.getElementById("told");
  show("title", `Check of ${of.service}/${of.server}`);
  show("words", "It is being checked.");
  show("text", "");
  if (!dialog.open) {
    dialog.showModal();
  }
  document.getElementById("told-again").onclick = () => check(of);
  try {
    const { checks } = await send("POST", `${path(of)}/check`, {});
    const words = checks.map((one) => `${one.kind} to ${one.address}: ${one.failure ?? "passed"}, in ${(one.took_us / 1000).toFixed(1)} ms.`);
    show("words", words.join(" "));
    show("text", checks.flatMap((one) => one.transcript).join("\n"));
  } catch (error) {
    show("words", error.mend ? `${error.message}: ${error.mend}` : error.message);
  }
}

// A button that says by itself what is to be sent.
async function put(button) {
  button.disabled = true;
  try {
    const answer = await send("POST", button.dataset.post, JSON.parse(button.dataset.body ?? "{}"));
    fault(null);
    partner(answer?.partner);
    document.getElementById("say").textContent = `${button.textContent}: done`;
    setTimeout(refresh, 600);
  } catch (error) {
    fault(error);
  } finally {
    button.disabled = false;
  }
}

// Tells whom lvs.cf names that this is a test, and says of each what came of it.
async function alerts(button) {
  button.disabled = true;
  try {
    const { told } = await confirmed(() => send("POST", "/api/v1/notify/test", {}));
    const words = told.map(({ directive, receiver, done, failure }) => [`${directive} ${receiver}: ${done ?? `failed: ${failure}`}`, failure ? "error" : ""]);
    const lines = words.length > 0 ? words : [["lvs.cf names nobody to be told.", ""]];
    document.getElementById("alerts").replaceChildren(...lines.map(([textContent, className]) => Object.assign(document.createElement("li"), { textContent, className })));
    fault(null);
  } catch (error) {
    fault(error);
  } finally {
    button.disabled = false;
  }
}

// What became of it on the other node.
function partner(told) {
  if (told && !told.done) {
    fault(new Error(`It holds here, but the partner does not have it: ${told.why}`));
  }
}

export function start() {
  document.addEventListener("click", (click) => {
    const act = click.target.closest("[data-act]");
    if (act && document.getElementById("act")) {
      open(one(act));
    }
    const bulk = click.target.closest("[data-bulk]");
    if (bulk) {
      open(many(bulk));
    }
    const row = click.target.closest("[data-check]")?.closest("tr");
    if (row) {
      check(row.dataset);
    }
    const post = click.target.closest("[data-post]");
    if (post) {
      put(post);
    }
    const test = click.target.closest("[data-alerts]");
    if (test) {
      alerts(test);
    }
    const end = click.target.closest("[data-end]");
    if (end) {
      confirmed(() => send("DELETE", end.dataset.end, undefined)).then(() => location.reload(), fault);
    }
  });
  const dialog = document.getElementById("act");
  if (!dialog) {
    return;
  }
  mark();
  part("go").addEventListener("click", go);
  dialog.addEventListener("input", judge);
  part("slide").addEventListener("input", () => {
    part("number").value = part("slide").value;
    share();
  });
  part("number").addEventListener("input", () => {
    part("slide").value = part("number").value;
    share();
  });
  // Enter does what the dialog is for, not what its first button is.
  dialog.addEventListener("keydown", (key) => {
    if (key.key === "Enter" && key.target.matches("input")) {
      key.preventDefault();
      if (!part("go").disabled) {
        go();
      }
    }
  });
  dialog.addEventListener("close", () => {
    const { button, service, server, act } = current;
    const rows = [...document.querySelectorAll("tr[data-server]")];
    const row = rows.find((r) => r.dataset.service === service && r.dataset.server === server);
    const back = button.isConnected ? button : (row ?? document).querySelector(`[data-act="${act}"]`);
    back?.focus();
  });
}
