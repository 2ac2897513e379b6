// Servers that are marked, to be operated together. Marks outlive rows, which are drawn anew.
const marked = new Set();
const part = (name) => document.getElementById(name);
const key = (row) => JSON.stringify([row.dataset.service, row.dataset.server]);
const boxes = (within) => [...within.querySelectorAll("tr[data-server] > .marking > [data-mark]")];

export function chosen() {
  return boxes(document).map((box) => box.closest("tr")).filter((row) => marked.has(key(row)));
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
    const own = boxes(all.closest("table"));
    const set = own.filter((box) => box.checked).length;
    all.checked = own.length > 0 && set === own.length;
    all.indeterminate = set > 0 && set < own.length;
  }
  const count = chosen().length;
  part("bulk").hidden = count === 0;
  part("bulk-count").textContent = count === 1 ? "1 server marked" : `${count} servers marked`;
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
      for (const box of boxes(change.target.closest("table"))) {
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
