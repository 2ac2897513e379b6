// Servers that are marked, one by one or all of a service, to be operated together. Marks outlive rows, which are drawn anew.
const marked = new Set();
const part = (name) => document.getElementById(name);
const key = (row) => JSON.stringify([row.dataset.service, row.dataset.server ?? null]);
const boxes = (within) => [...within.querySelectorAll("tr > .marking > [data-mark]")];

// Those that a box for all of them in the head of a table stands for.
const under = (all) => boxes(all.closest("table")).filter((box) => box.closest("table") === all.closest("table"));

// Who is marked with all servers of the service is not there once more.
export function chosen() {
  const rows = boxes(document).map((box) => box.closest("tr")).filter((row) => marked.has(key(row)));
  const whole = new Set(rows.filter((row) => !("server" in row.dataset)).map((row) => row.dataset.service));
  return rows.filter((row) => !("server" in row.dataset) || !whole.has(row.dataset.service));
}

export function unmark() {
  marked.clear();
  show();
}

function show() {
  for (const box of boxes(document)) {
    box.checked = marked.has(key(box.closest("tr")));
  }
  for (const all of document.querySelectorAll("[data-mark-all]")) {
    const own = under(all);
    const set = own.filter((box) => box.checked).length;
    all.checked = own.length > 0 && set === own.length;
    all.indeterminate = set > 0 && set < own.length;
  }
  const rows = chosen();
  const servers = rows.filter((row) => "server" in row.dataset).length;
  const counts = [[rows.length - servers, "service"], [servers, "server"]].filter(([count]) => count > 0);
  part("bulk").hidden = rows.length === 0;
  part("bulk-count").textContent = `${counts.map(([count, word]) => `${count} ${word}${count === 1 ? "" : "s"}`).join(" and ")} marked`;
}

function set(box) {
  const row = box.closest("tr");
  marked[box.checked ? "add" : "delete"](key(row));
}

export function start() {
  if (!part("bulk")) {
    return;
  }
  document.addEventListener("change", (change) => {
    if (change.target.matches("[data-mark]")) {
      set(change.target);
    } else if (change.target.matches("[data-mark-all]")) {
      for (const box of under(change.target)) {
        box.checked = change.target.checked;
        set(box);
      }
    } else {
      return;
    }
    show();
  });
  part("bulk-none").addEventListener("click", unmark);
  document.addEventListener("drawn", show);
  // What a browser kept ticked over a reload is not marked.
  show();
}
