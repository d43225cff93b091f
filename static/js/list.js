// The list by keyboard: j k to move, Enter opens (it is a link), x chooses, / searches, ? explains.

const links = () => [...document.querySelectorAll("[data-row]")];

function move(step) {
  const all = links();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
  const link = all[Math.max(0, Math.min(next, all.length - 1))];
  link.focus();
  link.closest("tr").scrollIntoView({ block: "nearest" });
}

const actions = {
  j: () => move(1),
  k: () => move(-1),
  x: () => {
    const box = document.activeElement.closest("tr")?.querySelector("[name=key]");
    if (box) box.click();
  },
  "/": () => document.getElementById("id_q").select(),
  "?": () => document.getElementById("keys").showModal(),
};

const types = (element) => element.matches("input:not([type=radio], [type=checkbox]), textarea, select");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (types(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Shown only where it works.
const show = () => {
  for (const part of document.querySelectorAll("[data-opens], [data-needs-script]")) part.hidden = false;
};
show();
document.addEventListener("htmx:after:swap", show);
document.addEventListener("click", ({ target }) => {
  const name = target.closest?.("[data-opens]")?.dataset.opens;
  if (name) document.getElementById(name).showModal();
});

// All rows of the page at once; the box follows when single ones change.
const boxes = () => [...document.querySelectorAll("[name=key][form=bulk]")];
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-all]")) for (const box of boxes()) box.checked = target.checked;
  const all = document.querySelector("[data-all]");
  if (all) all.checked = boxes().every((box) => box.checked);
});
