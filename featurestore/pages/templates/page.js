"use strict";
// One recording at a time; without this script all of them are shown.
for (const browser of document.querySelectorAll("[data-browser]")) {
  const select = browser.querySelector("select");
  const sections = [...browser.querySelectorAll(".example")];
  const show = () => {
    for (const one of sections) {
      one.hidden = one.id !== select.value;
      if (one.hidden) for (const player of one.querySelectorAll("audio")) player.pause();
    }
  };
  browser.querySelector(".chooser").hidden = false;
  select.addEventListener("change", show);
  for (const button of browser.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      const count = select.options.length;
      select.selectedIndex = (select.selectedIndex + Number(button.dataset.step) + count) % count;
      show();
    });
  }
  show();
}
// One player at a time.
document.addEventListener("play", (event) => {
  for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
}, true);
// What is behind a cell of a confusion matrix: its recordings, with picture and player where the page has them.
for (const matrix of document.querySelectorAll("[data-confusion]")) {
  const panel = matrix.querySelector(".behind");
  if (!panel) continue;
  const { cells, counts, side } = JSON.parse(matrix.querySelector(".items").textContent);
  const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
  matrix.addEventListener("click", (event) => {
    const button = event.target.closest("[data-cell]");
    if (!button) return;
    for (const one of matrix.querySelectorAll("[aria-pressed]")) one.removeAttribute("aria-pressed");
    button.setAttribute("aria-pressed", "true");
    const items = cells[button.dataset.cell] || [];
    const left = (counts[button.dataset.cell] || 0) - items.length;
    panel.replaceChildren(element("h4", button.getAttribute("aria-label")));
    for (const item of items) {
      const kept = document.getElementById(`clip-${side}-${item.number}`);
      if (kept) {
        const shown = kept.cloneNode(true);
        shown.removeAttribute("id");
        shown.open = !panel.querySelector("details[open]");
        panel.append(shown);
      } else {
        panel.append(element("p", `${item.path}, speaker ${item.speaker}: ${item.said}`));
      }
    }
    if (left > 0) panel.append(element("p", `and ${left} more`));
    panel.hidden = false;
  });
}
// Where the player is on a timeline; a click on the lanes moves it there.
for (const timeline of document.querySelectorAll("[data-timeline]")) {
  const player = timeline.querySelector("audio");
  const lanes = timeline.querySelector(".lanes");
  const head = timeline.querySelector(".head");
  const seconds = Number(timeline.dataset.timeline);
  if (!player) continue;
  const strip = () => timeline.querySelector(".strip").getBoundingClientRect();
  const move = () => {
    const box = strip();
    const left = box.left - lanes.getBoundingClientRect().left;
    head.style.left = `${left + Math.min(player.currentTime / seconds, 1) * box.width}px`;
    head.hidden = false;
  };
  player.addEventListener("timeupdate", move);
  window.addEventListener("resize", () => head.hidden || move());
  lanes.addEventListener("click", (event) => {
    const box = strip();
    player.currentTime = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * seconds;
    move();
  });
}
