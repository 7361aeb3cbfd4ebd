// Keeps the page's numbers fresh. Without it the page is the same, and shows new numbers when it is loaded again.
"use strict";

const INTERVAL_MS = 3000;
const button = document.getElementById("updating");
const state = document.getElementById("state");
let timer = null;

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function take(fresh) {
  for (const shown of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${shown.dataset.live}"]`);
    if (now) shown.textContent = now.textContent;
  }
  // A type that had no resources before gets its row.
  const rows = (page) => page.querySelector("tbody");
  if (rows(document).rows.length !== rows(fresh).rows.length) rows(document).replaceWith(rows(fresh));
}

async function refresh() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (timer !== null) say("The numbers are updated every 3 seconds.");
  } catch {
    if (timer !== null) say("weir does not answer: these are the last numbers it gave.");
  }
}

function start() {
  timer = setInterval(refresh, INTERVAL_MS);
  button.textContent = "Stop updating";
  say("The numbers are updated every 3 seconds.");
}

function stop() {
  clearInterval(timer);
  timer = null;
  button.textContent = "Update the numbers";
  say("The numbers stand still.");
}

button.addEventListener("click", () => (timer === null ? (refresh(), start()) : stop()));
button.hidden = false;
start();
