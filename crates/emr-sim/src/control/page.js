// Fresh numbers every second, unless somebody is at work in the page. Without it, the page is as old as its last loading.
setInterval(async () => {
  if (document.activeElement && document.activeElement !== document.body) return;
  try {
    const text = await (await fetch(location)).text();
    const page = new DOMParser().parseFromString(text, "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
  } catch {
    // The simulated EMR is down and the page came by its port.
  }
}, 1000);
