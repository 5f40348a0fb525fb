"use strict";
// The page: draws what is in it, follows theme, paper and size, and takes new states by `twinscale.show(state)`.
const twinscale = (() => {
  let data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;

  function draw() {
    document.body.dataset.theme = dark.matches ? "dark" : "light";
    pictures.draw(data);
  }

  // Takes a whole state, already parsed: sections that changed, the title, and what is drawn. What is open stays open.
  function show(state) {
    for (const [id, html] of Object.entries(state.sections)) {
      const section = document.getElementById(id);
      if (!section || section.dataset.html === html) continue;
      const open = [...section.querySelectorAll("details")].map((details) => details.open);
      section.dataset.html = html;
      section.innerHTML = html;
      [...section.querySelectorAll("details")].forEach((details, n) => { details.open = open[n] ?? details.open; });
    }
    data = state.data;
    document.title = state.title;
    draw();
  }

  draw();
  dark.addEventListener("change", draw);
  // Paper is white and narrow, whatever the screen is.
  addEventListener("beforeprint", () => { root.classList.add("print"); draw(); });
  addEventListener("afterprint", () => { root.classList.remove("print"); draw(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });

  // While the run goes on, the server sends whole states: a page that missed some is right after the next one.
  if (data.live) {
    const source = new EventSource("events");
    const take = (event) => show(JSON.parse(event.data));
    source.addEventListener("state", take);
    source.addEventListener("done", (event) => { source.close(); take(event); document.body.dataset.done = "yes"; });
  }
  document.body.dataset.drawn = "yes";
  return { show };
})();
