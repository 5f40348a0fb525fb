"use strict";
// Draws the pictures of a report from the data in the page. Several series share one time axis and one scale; every
// mark is a button over the picture, so that it has its tooltip for the mouse, the keyboard and a screen reader.
(() => {
  let data = JSON.parse(document.getElementById("data").textContent);
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 4]];
  const plots = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (n) => css("--c" + (n % 6));
  const number = (v) => (v == null ? "–" : v.toLocaleString("en-US", { maximumFractionDigits: 2 }));
  const clock = (s) => {
    if (s == null) return "–";
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    const rest = s % 60, sec = Number.isInteger(rest) ? String(rest) : rest.toFixed(1);
    if (h) return `${h} h ${m} min`;
    return m ? (rest ? `${m} min ${sec} s` : `${m} min`) : `${sec} s`;
  };

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  function show(mark) {
    tip.textContent = mark.dataset.tip;
    tip.style.display = "block";
    const box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(4, box.left - own.width / 2), document.documentElement.clientWidth - own.width - 4);
    const above = box.top - own.height - 8;
    tip.style.left = left + scrollX + "px";
    tip.style.top = (above > 0 ? above : box.bottom + 8) + scrollY + "px";
  }
  const hide = () => { tip.style.display = "none"; };
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });

  // Puts marks {x, y, tip, series, look} over a plot, and keeps them there when it is zoomed or resized.
  function overlay(marks) {
    let made = null;
    return (u) => {
      if (!made) {
        made = marks.map((m) => {
          const button = document.createElement("button");
          button.type = "button";
          button.className = "mark" + (m.look ? " look" : "") + (m.crowd ? " crowd" : "");
          button.dataset.tip = m.tip;
          button.setAttribute("aria-label", m.tip);
          if (m.look) button.tabIndex = -1; // the table of decisions is the way to read hundreds of them
          button.style.setProperty("--mark", color(m.series));
          for (const on of ["mouseenter", "focus", "click"]) button.addEventListener(on, () => show(button));
          for (const off of ["mouseleave", "blur"]) button.addEventListener(off, hide);
          u.over.append(button);
          return button;
        });
      }
      marks.forEach((m, n) => {
        const x = u.valToPos(m.x, "x"), y = u.valToPos(m.y, "y");
        made[n].hidden = x < 0 || x > u.over.clientWidth;
        made[n].style.left = x + "px";
        made[n].style.top = y + "px";
      });
    };
  }

  function axis(label, values) {
    return { label, labelSize: 22, size: 56, stroke: css("--soft"), values, grid: { stroke: css("--line"), width: 1 },
      ticks: { stroke: css("--line"), width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
  }

  // One picture: `series` is [{label, x, y, n, step, fill, dash}].
  function draw(id, { series, yLabel, marks = [], height = 240, x = clock, xLabel = "", yMax, xMax, sync }) {
    const at = document.getElementById(id);
    if (!at || !series.length) return;
    const shown = series.filter((s) => s.x.length);
    if (!shown.length) { at.textContent = "No data."; return; }
    const joined = shown.length === 1 ? [shown[0].x, shown[0].y] : uPlot.join(shown.map((s) => [s.x, s.y]));
    const narrow = at.clientWidth < 480;
    const options = {
      width: at.clientWidth, height: narrow ? height * 0.85 : height,
      cursor: { sync: sync ? { key: sync } : undefined, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false, range: (u, min, max) => [Math.min(0, min), xMax || max || 1] },
        y: { range: (u, min, max) => [0, yMax || (max || 1) * 1.08] } },
      axes: [{ ...axis(xLabel, (u, ticks) => ticks.map((v) => x(v))), size: 34, space: narrow ? 70 : 90 },
        { ...axis(yLabel, (u, ticks) => ticks.map(number)), size: narrow ? 46 : 62 }],
      series: [{ label: xLabel || "time", value: (u, v) => x(v) }, ...shown.map((s) => ({
        label: s.label, stroke: color(s.n), width: 2, dash: s.dash || DASHES[s.n % DASHES.length], spanGaps: true,
        fill: s.fill ? color(s.n) + s.fill : undefined, points: { show: false },
        paths: s.step ? uPlot.paths.stepped({ align: 1 }) : undefined, value: (u, v) => number(v),
      }))],
      hooks: { draw: [overlay(marks)] },
    };
    at.replaceChildren();
    plots.push({ plot: new uPlot(options, joined, at), at });
    table(id, xLabel || "seconds", shown);
  }

  // The data behind a picture as a table, filled when it is opened.
  function table(id, first, series) {
    const details = document.querySelector(`details[data-for="${id}"]`);
    if (!details) return;
    details.ontoggle = () => {
      const body = details.querySelector("tbody");
      if (!details.open || body.childElementCount) return;
      const rows = new Map();
      series.forEach((s, n) => s.x.forEach((x, at) => {
        if (!rows.has(x)) rows.set(x, []);
        rows.get(x)[n] = s.y[at];
      }));
      details.querySelector("thead").innerHTML = "<tr><th scope=col></th></tr>";
      details.querySelector("thead th").textContent = first;
      for (const s of series) {
        const head = document.createElement("th");
        head.scope = "col";
        head.textContent = s.label;
        details.querySelector("thead tr").append(head);
      }
      for (const [x, values] of [...rows].sort((a, b) => a[0] - b[0])) {
        const row = body.insertRow();
        row.insertCell().textContent = number(x);
        series.forEach((s, n) => { row.insertCell().textContent = number(values[n]); });
      }
    };
    details.querySelector("tbody").replaceChildren();
    if (details.open) details.ontoggle();
  }

  function drawAll() {
    while (plots.length) plots.pop().plot.destroy();
    document.body.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const all = data.series;
    const xMax = Math.max(...all.map((s) => s.t[s.t.length - 1] || 0), 1);
    const lines = (key, more) => all.map((s, n) => ({ label: s.label, n, x: s.t, y: s[key], ...more }));
    draw("backlog", { series: lines("backlog", { fill: "18" }), yLabel: "messages", xMax, sync: "t" });
    // Crowded marks are small, so that the line under them is still seen.
    const crowd = Math.max(...all.map((s) => s.marks.length)) > 30;
    const marks = all.flatMap((s, n) => s.marks.map((m) => ({ x: m.t, y: m.to, look: m.from === m.to, crowd, series: n, tip: m.tip })));
    draw("capacity", { series: lines("capacity", { step: true }), yLabel: "capacity", marks, xMax, sync: "t" });
    const points = all.flatMap((s, n) => s.percentiles.map(([share, at]) => ({
      x: at, y: share, series: n, tip: `${s.label}: ${share} % of the messages were done within ${clock(at)}`,
    })));
    draw("latency", { series: all.map((s, n) => ({ label: s.label, n, step: true, x: s.latency.x, y: s.latency.y })),
      marks: points, yLabel: "% of messages", xLabel: "sent to done", yMax: 100 });
    const most = Math.max(1, ...all.flatMap((s) => s.slots));
    all.forEach((s, n) => draw("use-" + n, { yMax: most * 1.05, xMax, height: 170, yLabel: "messages", sync: "t", series: [
      { label: "room for", n: 4, x: s.t, y: s.slots, step: true, fill: "30", dash: [3, 3] },
      { label: "worked on", n, x: s.t, y: s.used, step: true, fill: "60", dash: [] },
    ] }));
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); drawAll(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); drawAll(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawAll(); } });

  // While the run goes on, the server sends whole states: a page that missed some is right after the next one.
  if (data.live) {
    const source = new EventSource("events");
    const take = (event) => {
      const state = JSON.parse(event.data);
      for (const [id, html] of Object.entries(state.sections)) {
        const section = document.getElementById(id);
        if (section && section.dataset.html !== html) { section.dataset.html = html; section.innerHTML = html; }
      }
      data = state.data;
      document.title = state.title;
      drawAll();
    };
    source.addEventListener("state", take);
    source.addEventListener("done", (event) => { source.close(); take(event); document.body.dataset.done = "yes"; });
  }
  document.body.dataset.drawn = "yes";
})();
