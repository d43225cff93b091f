// The list by keyboard: j k to move, Enter opens (it is a link), / searches, ? explains.

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
  for (const button of document.querySelectorAll("[data-opens]")) button.hidden = false;
};
show();
document.addEventListener("htmx:after:swap", show);
document.addEventListener("click", ({ target }) => {
  const name = target.closest?.("[data-opens]")?.dataset.opens;
  if (name) document.getElementById(name).showModal();
});
