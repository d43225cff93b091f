// Small helps on every page. Each page works without them.

const keepers = "textarea[data-keep]";

// A login that ran out, or a reload, must not cost what was typed. A draft goes once it was sent and
// taken, whatever page follows.
if (document.querySelector(".message.success")) {
  sessionStorage.removeItem(sessionStorage.getItem("sent") ?? "");
}
sessionStorage.removeItem("sent");
for (const area of document.querySelectorAll(keepers)) {
  const key = `draft:${area.dataset.keep}`;
  const draft = sessionStorage.getItem(key);
  const note = document.getElementById(`${area.id}-restored`);
  // A text that is edited comes with its saved form; what was typed instead is said to be back.
  if (draft !== null && (!area.value || note)) {
    if (note && draft !== area.value) note.hidden = false;
    area.value = draft;
  }
  area.addEventListener("input", () => sessionStorage.setItem(key, area.value));
  area.form?.addEventListener("submit", () => sessionStorage.setItem("sent", key));
  area.form?.addEventListener("reset", () => {
    sessionStorage.removeItem(key);
    if (note) note.hidden = true;
  });
}

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
