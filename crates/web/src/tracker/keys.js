
// The keys of the page on which pairs are decided. They press what is on the page: without them its buttons do the same.
{
  const help = document.getElementById("keys");
  const off = document.getElementById("keys-off");
  const KEPT = "weir-review-keys";
  const wanted = { m: "same", n: "different", s: "skip", ArrowRight: "skip", ArrowLeft: "back" };
  let pressed = false;

  const areOff = () => localStorage.getItem(KEPT) === "off";

  function tell() {
    off.setAttribute("aria-pressed", String(areOff()));
  }

  function press(event) {
    if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey || areOff()) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const place = document.getElementById(wanted[event.key] ?? "");
    if (!place || pressed) return;
    // One decision for each page: a second key before the next pair is shown would be meant for a pair nobody has seen.
    pressed = true;
    event.preventDefault();
    place.click();
  }

  if (help) {
    help.hidden = false;
    tell();
    off.addEventListener("click", () => {
      localStorage.setItem(KEPT, areOff() ? "on" : "off");
      tell();
    });
    document.addEventListener("keydown", press);
    addEventListener("pageshow", () => (pressed = false));
  }
}
