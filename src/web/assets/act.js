// What operators do, with what will happen said before.
import { send } from "./api.js";
import { refresh } from "./live.js";

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

function open(button) {
  const row = button.closest("tr");
  const cell = button.closest("[data-connections]");
  const { node } = document.body.dataset;
  const of = {
    act: button.dataset.act,
    service: row?.dataset.service,
    server: row?.dataset.server,
    target: row ? `${row.dataset.service}/${row.dataset.server}` : node,
    connections: cell?.dataset.connections ?? "0",
    weight: cell?.dataset.weight ?? "",
    last: cell !== null && "last" in cell.dataset,
    scope: `It is said to ${node}; the partner is told where the two are connected.`,
    node,
    button,
  };
  const act = ACTS[of.act];
  current = of;
  part("title").textContent = act.title(of);
  part("words").textContent = act.words(of);
  part("go").textContent = act.go;
  part("last").hidden = !(act.keepsOut && of.last);
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
  judge();
  document.getElementById("act").showModal();
}

function judge() {
  const act = ACTS[current.act];
  const blocked = act.keepsOut && current.last && !part("force").checked;
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
  const path = `/api/v1/services/${encodeURIComponent(of.service)}/servers/${encodeURIComponent(of.server)}/override`;
  if (of.act === "ready") {
    return ["DELETE", path, undefined];
  }
  const expires = Number(part("expires").value) || undefined;
  const body = { state: of.act, reason, expires, force: part("force").checked };
  if (of.act === "weight") {
    body.weight = Number(part("number").value);
    body.force = false;
  }
  return ["PUT", path, body];
}

async function go() {
  part("go").disabled = true;
  try {
    if (!part("again").hidden) {
      await send("POST", "/api/v1/session/confirm", { password: part("password").value });
    }
    await send(...request(current));
    document.getElementById("act").close();
    document.getElementById("say").textContent = `${part("title").textContent}: done`;
    setTimeout(refresh, 1200);
  } catch (error) {
    if (error.code === "confirm_password") {
      part("again").hidden = false;
      part("password").focus();
    }
    part("fault").textContent = error.mend && error.code !== "confirm_password" ? `${error.message}: ${error.mend}` : error.message;
    part("fault").hidden = error.code === "confirm_password";
  } finally {
    judge();
  }
}

export function start() {
  document.addEventListener("click", (click) => {
    const act = click.target.closest("[data-act]");
    if (act && document.getElementById("act")) {
      open(act);
    }
    const end = click.target.closest("[data-end]");
    if (end) {
      send("DELETE", end.dataset.end, undefined).then(() => location.reload(), (error) => {
        end.textContent = error.message;
      });
    }
  });
  const dialog = document.getElementById("act");
  if (!dialog) {
    return;
  }
  part("go").addEventListener("click", go);
  dialog.addEventListener("input", judge);
  part("slide").addEventListener("input", () => {
    part("number").value = part("slide").value;
  });
  part("number").addEventListener("input", () => {
    part("slide").value = part("number").value;
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
