"use strict";
// Draws the pictures of a report from the data in the page, which says all that is in them: axes, lines, bands, marks.
// Every mark is a button over its picture, so that it has its tooltip for the mouse, the keyboard and a screen reader.
(() => {
  let data = JSON.parse(document.getElementById("data").textContent);
  const DASHES = [[], [8, 4], [10, 3, 2, 3], [5, 5], [2, 3], [1, 4]];
  const plots = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (n) => css("--c" + (n % 6));
  const digits = (v) => (v !== 0 && Math.abs(v) < 0.01 ? v.toPrecision(2) : v.toLocaleString("en-US", { maximumFractionDigits: 2 }));
  const clock = (s) => {
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    const rest = s % 60, sec = Number.isInteger(rest) ? String(rest) : rest.toFixed(1);
    if (h) return m ? `${h} h ${m} min` : `${h} h`;
    return m ? (rest ? `${m} min ${sec} s` : `${m} min`) : `${sec} s`;
  };
  const WRITE = { number: digits, seconds: clock, usd: (v) => "$" + digits(v) };
  const write = (axis, v) => (v == null ? "–" : WRITE[axis.unit](v));
  const make = (tag, properties, parent) => {
    const node = Object.assign(document.createElement(tag), properties);
    if (parent) parent.append(node);
    return node;
  };

  const tip = make("div", { id: "tip" }, document.body);
  tip.setAttribute("role", "tooltip");
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

  // The arrow keys go from mark to mark: hundreds of them are one stop of the tab key.
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  function walk(buttons, event) {
    const from = buttons.indexOf(event.target), step = STEPS[event.key];
    if (from < 0 || step === undefined) return;
    event.preventDefault();
    const to = buttons[Math.min(Math.max(from + step, 0), buttons.length - 1)];
    event.target.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  // Puts marks over a plot, and keeps them there when it is zoomed or resized.
  function overlay(marks) {
    let made = null;
    // Crowded marks are small, so that the line under them is still seen.
    const crowd = marks.length > 60 ? " crowd" : "";
    return (u) => {
      if (!made) {
        made = marks.map((m, n) => {
          const button = make("button", { type: "button", className: "mark" + (m.look ? " look" : "") + crowd, tabIndex: n ? -1 : 0 });
          button.dataset.tip = m.tip;
          button.setAttribute("aria-label", m.tip);
          button.style.setProperty("--mark", color(m.color));
          for (const on of ["mouseenter", "focus", "click"]) button.addEventListener(on, () => show(button));
          for (const off of ["mouseleave", "blur"]) button.addEventListener(off, hide);
          return button;
        });
        u.over.append(...made);
        u.over.addEventListener("keydown", (event) => walk(made, event));
      }
      marks.forEach((m, n) => {
        const x = u.valToPos(m.x, "x"), y = u.valToPos(m.y, "y");
        made[n].hidden = !(x >= -1 && x <= u.over.clientWidth + 1);
        made[n].style.left = x + "px";
        made[n].style.top = y + "px";
      });
    };
  }

  function axis({ label, log }, values, size) {
    const font = "12px system-ui, sans-serif";
    return { label, labelSize: 20, size, stroke: css("--soft"), font, labelFont: font, ...(log ? { space: 30 } : {}),
      values: (u, ticks) => ticks.map((v) => (v == null ? "" : values(v))),
      grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
  }

  // From zero to the highest value, or, where the axis is a logarithm, in whole decades.
  const range = ({ log, max }, room) => (u, low, high) => {
    if (log) return [10 ** Math.floor(Math.log10(low || 1)), 10 ** Math.ceil(Math.log10(high || 10))];
    return [0, max || (high || 1) * room];
  };

  function draw(picture) {
    const { id, x, y, sync, low } = picture;
    const at = document.getElementById(id);
    if (!at) return;
    const lines = picture.lines.filter((line) => line.y.length);
    table(picture, lines);
    if (!lines.length) { at.textContent = "No data yet."; return; }
    const columns = [], series = [], bands = [];
    for (const line of lines) {
      const n = series.length + 1, paths = line.step ? uPlot.paths.stepped({ align: 1 }) : undefined;
      const plain = { spanGaps: true, points: { show: false }, paths, value: (u, v) => write(y, v) };
      columns.push([data.columns[line.x], line.y]);
      const banded = (u, v, at, index) =>
        v == null ? "–" : `${write(y, v)} (${write(y, u.data[at + 2][index])} to ${write(y, u.data[at + 1][index])})`;
      series.push({ ...plain, value: line.low ? banded : plain.value, label: line.label, stroke: color(line.color), width: 2,
        dash: line.dashed ? [3, 3] : DASHES[line.color % DASHES.length], fill: line.fill ? color(line.color) + "30" : undefined });
      if (!line.low) continue;
      for (const edge of ["high", "low"]) {
        columns.push([data.columns[line.x], line[edge]]);
        series.push({ ...plain, label: edge, class: "edge", stroke: color(line.color) + "60", width: 1 });
      }
      bands.push({ series: [n + 1, n + 2], fill: color(line.color) + "38" });
    }
    const narrow = at.clientWidth < 480, height = low ? 170 : 240;
    const options = {
      width: at.clientWidth, height: narrow ? height * 0.85 : height, padding: [10, 26, 0, 0],
      cursor: { sync: sync ? { key: sync } : undefined, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false, distr: x.log ? 3 : 1, range: range(x, 1) }, y: { distr: y.log ? 3 : 1, range: range(y, 1.08) } },
      axes: [{ ...axis(x, (v) => write(x, v), 44), space: narrow ? 70 : 90 }, axis(y, (v) => write(y, v), narrow ? 46 : 62)],
      series: [{ label: x.label, value: (u, v) => write(x, v) }, ...series],
      bands,
      hooks: { draw: [overlay(picture.marks)] },
    };
    at.replaceChildren();
    const joined = columns.length === 1 ? columns[0] : uPlot.join(columns);
    plots.push(new uPlot(options, joined, at));
  }

  // The data behind a picture as a table, and its marks as another; made when they are opened.
  function table({ id, x, y, marks }, lines) {
    const details = document.querySelector(`details[data-for="${id}"]`);
    if (!details) return;
    const at = details.querySelector(".wide");
    const open = () => {
      if (!details.open || at.childElementCount) return;
      const heads = [], rows = new Map();
      const put = (label, xs, ys) => {
        const column = heads.push(label) - 1;
        xs.forEach((v, n) => { if (!rows.has(v)) rows.set(v, []); rows.get(v)[column] = ys[n]; });
      };
      for (const line of lines) {
        put(line.label, data.columns[line.x], line.y);
        if (line.low) { put(`${line.label}: 95 % from`, data.columns[line.x], line.low); put("to", data.columns[line.x], line.high); }
      }
      const sorted = [...rows].sort((a, b) => a[0] - b[0]);
      fill(at, [x.label, ...heads], sorted.map(([v, values]) => [write(x, v), ...heads.map((_, n) => write(y, values[n]))]));
      if (marks.length) fill(at, [x.label, "mark"], marks.map((m) => [write(x, m.x), m.tip]));
    };
    details.ontoggle = open;
    at.replaceChildren();
    open();
  }

  function fill(at, heads, rows) {
    const made = make("table", {}, at), head = made.createTHead().insertRow(), body = made.createTBody();
    for (const textContent of heads) make("th", { scope: "col", textContent }, head);
    for (const cells of rows) {
      const row = body.insertRow();
      for (const text of cells) row.insertCell().textContent = text;
    }
  }

  function drawAll() {
    while (plots.length) plots.pop().destroy();
    document.body.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    data.pictures.forEach(draw);
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // Paper is white and narrow, whatever the screen is.
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
