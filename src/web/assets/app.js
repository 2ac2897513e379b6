import { start as act } from "./act.js";
import { start as columns } from "./columns.js";
import { start as live } from "./live.js";

const PLACES = { o: "/", s: "/services", c: "/cluster", e: "/events" };

function keys() {
  let went = 0;
  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || key.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) {
      return;
    }
    if (key.key === "/") {
      const find = document.getElementById("find");
      if (find) {
        key.preventDefault();
        find.focus();
      } else {
        location.assign("/services");
      }
    } else if (key.key === "?") {
      location.assign("/help");
    } else if (key.key === "g") {
      went = performance.now();
    } else if (key.key in PLACES && performance.now() - went < 1500) {
      location.assign(PLACES[key.key]);
    }
  });
}

function theme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const names = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };
  const show = () => {
    button.textContent = names[root.dataset.theme ?? "auto"];
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = { auto: "light", light: "dark", dark: "auto" }[root.dataset.theme ?? "auto"];
    if (next === "auto") {
      delete root.dataset.theme;
      localStorage.removeItem("piranha.theme");
    } else {
      root.dataset.theme = next;
      localStorage.setItem("piranha.theme", next);
    }
    show();
  });
  show();
}

// The filter of a list applies as it is set.
function filters() {
  for (const form of document.querySelectorAll("form.filter")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
}

// Puts a text into the clipboard, and says so.
function copies() {
  const shown = () => {
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.hidden = !navigator.clipboard;
    }
  };
  document.addEventListener("drawn", shown);
  document.addEventListener("click", async (click) => {
    const button = click.target.closest("[data-copy]");
    if (button) {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      document.getElementById("say").textContent = "Copied";
    }
  });
  shown();
}

copies();
keys();
theme();
filters();
columns();
act();
live();
