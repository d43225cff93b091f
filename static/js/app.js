// Small helps on every page. Each page works without them.

// What is kept: a field that says so, or all that one writes into of a form that says so.
const keepers = "[data-keep]:not(form), form[data-keep] textarea, form[data-keep] input:not([type=hidden], [type=checkbox], [type=radio])";
const keyOf = (field) => `draft:${field.dataset.keep ?? `${field.form.dataset.keep}:${field.name}`}`;
const noteOf = (field) => document.getElementById(`${field.id}-restored`);
const kept = (form) => [...form.querySelectorAll(keepers)];

// A login that ran out, or a reload, must not cost what was typed. A draft goes once it was sent and
// taken, whatever page follows.
if (document.querySelector(".message.success")) {
  for (const key of JSON.parse(sessionStorage.getItem("sent") ?? "[]")) sessionStorage.removeItem(key);
}
sessionStorage.removeItem("sent");
for (const field of document.querySelectorAll(keepers)) {
  const draft = sessionStorage.getItem(keyOf(field));
  const note = noteOf(field);
  // A text that is edited comes with its saved form; what was typed instead is said to be back.
  if (draft !== null && (!field.value || note)) {
    if (note && draft !== field.value) note.hidden = false;
    field.value = draft;
  }
}
document.addEventListener("input", ({ target }) => {
  if (target.matches(keepers)) sessionStorage.setItem(keyOf(target), target.value);
});
document.addEventListener("submit", ({ target }) => {
  const keys = kept(target).map(keyOf);
  if (keys.length) sessionStorage.setItem("sent", JSON.stringify(keys));
});
document.addEventListener("reset", ({ target }) => {
  for (const field of kept(target)) {
    sessionStorage.removeItem(keyOf(field));
    const note = noteOf(field);
    if (note) note.hidden = true;
  }
});

// A second click must not ask for a second run.
document.addEventListener("submit", ({ target }) => {
  if (target.method !== "post") return;
  if (target.dataset.sent) return;
  target.dataset.sent = "yes";
  for (const button of target.querySelectorAll("button")) {
    setTimeout(() => { button.disabled = true; });
  }
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});

// The menu closes on Escape and on a click beside it.
const menu = document.querySelector("details.menu");
const close = () => { if (menu) menu.open = false; };
document.addEventListener("click", ({ target }) => { if (!menu?.contains(target)) close(); });
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && menu?.open) {
    close();
    menu.querySelector("summary").focus();
  }
});

const units = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [2592000, 86400, "d"]];

// Relative times go on while the page is open; the exact one is in the title.
setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const unit = units.find(([below]) => seconds < below);
    if (!unit || seconds < 5) continue;
    const suffix = /ago|now/.test(time.textContent) ? " ago" : "";
    const text = `${Math.floor(seconds / unit[1])} ${unit[2]}${suffix}`;
    if (time.textContent !== text) time.textContent = text;
  }
}, 10000);
