// Keeps the numbers of a page fresh. Without it the page is the same, and shows new numbers when it is loaded again.
"use strict";

const button = document.getElementById("updating");
const state = document.getElementById("state");
let wanted = false;
let source = null;
let other = false;

function say(text) {
  if (other) text += " The list of destinations has changed: load the page again.";
  if (state.textContent !== text) state.textContent = text;
}

// Whoever is on a link by keyboard stays on it.
function put(shown, html) {
  const held = shown.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  shown.innerHTML = html;
  if (held === null) return;
  const again = Array.from(shown.querySelectorAll("a")).find((one) => one.getAttribute("href") === held);
  again?.focus({ preventScroll: true });
}

function take(message) {
  const { destinations, changed } = JSON.parse(message.data);
  for (const [key, html] of changed) {
    for (const shown of document.querySelectorAll(`[data-live="${CSS.escape(key)}"]`)) put(shown, html);
  }
  if (destinations) {
    const here = Array.from(document.querySelectorAll("[data-destination]"), (one) => one.dataset.destination);
    other = here.join() !== destinations.join();
  }
  say("The numbers are live.");
}

function disconnect() {
  source?.close();
  source = null;
}

function connect() {
  disconnect();
  source = new EventSource(button.dataset.events);
  source.addEventListener("numbers", take);
  // The browser tries again by itself, unless the server has said no.
  source.addEventListener("error", () => {
    if (source) say("weir does not answer: these are the last numbers it gave.");
  });
}

function start() {
  wanted = true;
  connect();
  button.textContent = "Stop updating";
}

function stop() {
  wanted = false;
  disconnect();
  button.textContent = "Update the numbers";
  say("The numbers stand still.");
}

if (button) {
  button.addEventListener("click", () => (wanted ? stop() : start()));
  button.hidden = false;
  start();
  // A browser opens few connections to one server: those of pages that nobody sees are given back.
  const seen = () => wanted && (document.hidden ? disconnect() : connect());
  document.addEventListener("visibilitychange", seen);
  addEventListener("pageshow", (event) => event.persisted && seen());
  addEventListener("pagehide", disconnect);
}
