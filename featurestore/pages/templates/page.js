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
