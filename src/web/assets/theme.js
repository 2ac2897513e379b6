// Before the first paint: the theme that was chosen here, where one was.
const chosen = localStorage.getItem("piranha.theme");
if (chosen === "light" || chosen === "dark") {
  document.documentElement.dataset.theme = chosen;
}
