// The columns of the services that are shown in this browser.
const KEPT = "piranha.columns";

export function start() {
  const chooser = document.getElementById("chooser");
  if (!chooser) {
    return;
  }
  const boxes = [...chooser.querySelectorAll("input")];
  const left = (localStorage.getItem(KEPT) ?? "").split(" ");
  for (const box of boxes) {
    box.checked = !left.includes(box.value);
  }
  const show = () => {
    const hidden = boxes.filter((box) => !box.checked).map((box) => box.value).join(" ");
    document.getElementById("columns").dataset.hide = hidden;
    return hidden;
  };
  chooser.addEventListener("change", () => localStorage.setItem(KEPT, show()));
  show();
  chooser.hidden = false;
}
