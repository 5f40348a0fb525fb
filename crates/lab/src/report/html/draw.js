"use strict";
// Draws pictures from data that says all that is in them: axes, lines, bands, spans, marks, and decisions in a lane above.
// `pictures.draw(data)` draws each into the element of its id, again if it was there before; what is zoomed stays zoomed.
// Every mark is a button over its picture, so that it has its tooltip for the mouse, the keyboard and a screen reader.
const pictures = (() => {
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [1, 5], [12, 6]];
  const FONT = "12px system-ui, 'DejaVu Sans', sans-serif";
  // Marks of a lane nearer than this become one.
  const TOUCH = 24;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (name) => css("--" + name);
  const make = (tag, properties, parent) => {
    const node = Object.assign(document.createElement(tag), properties);
    if (parent) parent.append(node);
    return node;
  };

  // Numbers as the tables have them (report/figures.rs): 250 ms, 34.0 s, 2 min 29 s, 1 h 24 min, 2 d 3 h; 631,172.
  const digits = (v) => (v !== 0 && Math.abs(v) < 0.01 ? v.toPrecision(2) : v.toLocaleString("en-US", { maximumFractionDigits: 2 }));
  const two = (big, small, a, b) => (small ? `${big} ${a} ${small} ${b}` : `${big} ${a}`);
  function clock(s) {
    if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
    if (s < 59.95) return `${s.toFixed(1)} s`;
    const whole = Math.round(s), minutes = Math.round(s / 60), hours = Math.round(s / 3600);
    if (whole < 3600) return two(Math.floor(whole / 60), whole % 60, "min", "s");
    if (minutes < 1440) return two(Math.floor(minutes / 60), minutes % 60, "h", "min");
    return two(Math.floor(hours / 24), hours % 24, "d", "h");
  }
  // On an axis a whole number of seconds needs no decimal.
  const tick = (s) => (s === 0 ? "0" : s >= 1 && s < 60 && Number.isInteger(s) ? `${s} s` : clock(s));
  const WRITE = { number: digits, seconds: clock, usd: (v) => "$" + digits(v) };
  const TICK = { number: digits, seconds: tick, usd: (v) => "$" + digits(v) };
  const write = (axis, v) => (v == null ? "–" : WRITE[axis.unit](v));

  // Steps between ticks: whole seconds, minutes, hours and days.
  const TIMES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
    7200, 10800, 14400, 21600, 43200, 86400, 172800, 432000, 864000];
  const decades = (steps) => Array.from({ length: 30 }, (_, n) => steps.map((step) => Number(`${step}e${n - 12}`))).flat();
  // Ticks of logarithmic axes: all, or where there is no room for all, the main ones.
  const LOG = {
    seconds: [TIMES, [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000]],
    number: [decades([1, 2, 5]), decades([1])],
    usd: [decades([1, 2, 5]), decades([1])],
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

  // Pictures by their word of sync share their zoom: [from, to], or nothing for all.
  const zooms = new Map(), plots = [];
  const near = (a, b) => Math.abs(a - b) <= Math.abs(b) * 1e-9;
  function zoom(sync, from, to) {
    for (const { u, picture } of plots) if (picture.sync && picture.sync === sync) u.setScale("x", { min: from, max: to });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (tip.style.display === "block") return hide();
    for (const sync of [...zooms.keys()]) zoom(sync, ...fullRange(plots.find(({ picture }) => picture.sync === sync).u));
  });
  const fullRange = (u) => u.scales.x.range(u, u.data[0][0], u.data[0].at(-1));
  // uPlot asks for the range of what is zoomed into too, and stretches the range of one point by itself.
  const unlessZoomed = (whole, xs) => (u, low, high) =>
    xs.length < 2 ? whole(u, xs[0], xs[0]) : low === xs[0] && high === xs.at(-1) ? whole(u, low, high) : [low, high];

  // The arrow keys go from mark to mark: hundreds of them are one stop of the tab key.
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  function walk(event) {
    const step = STEPS[event.key], marks = [...event.currentTarget.querySelectorAll(".mark:not([hidden])")];
    const from = marks.indexOf(event.target);
    if (from < 0 || step === undefined) return;
    event.preventDefault();
    const to = marks[Math.min(Math.max(from + step, 0), marks.length - 1)];
    event.target.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  function button(u, { className, text, told, of, count }) {
    const mark = make("button", { type: "button", className: "mark " + className, textContent: text || "", tabIndex: -1 }, u.over);
    mark.dataset.tip = told;
    mark.dataset.count = count || 1;
    mark.setAttribute("aria-label", told);
    mark.style.setProperty("--mark", color(of));
    for (const on of ["mouseenter", "focus", "click"]) mark.addEventListener(on, () => show(mark));
    for (const off of ["mouseleave", "blur"]) mark.addEventListener(off, hide);
    return mark;
  }
  const firstStops = (marks) => { const first = marks.find((mark) => !mark.hidden); if (first) first.tabIndex = 0; };

  // Points over a plot, which stay there when it is zoomed or resized.
  function points(marks) {
    let made = null;
    return (u) => {
      if (!made) made = marks.map((m) => button(u, { className: m.look, told: m.tip, of: m.color }));
      marks.forEach((m, n) => {
        const x = u.valToPos(m.x, "x"), y = u.valToPos(m.y, "y");
        made[n].hidden = !(x >= -1 && x <= u.over.clientWidth + 1);
        made[n].style.left = x + "px";
        made[n].style.top = y + "px";
      });
      if (!made.some((mark) => mark.tabIndex === 0 && !mark.hidden)) firstStops(made);
      named(u, marks.filter((m) => m.text));
    };
  }

  // What stands beside a point, above its neighbour where two would cover each other.
  function named(u, marks) {
    const { ctx } = u, scale = devicePixelRatio, taken = [];
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * scale}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    for (const m of [...marks].sort((a, b) => b.y - a.y)) {
      const text = m.text, width = ctx.measureText(text).width;
      const x = u.valToPos(m.x, "x", true), y = u.valToPos(m.y, "y", true);
      const left = x + 9 * scale + width > u.bbox.left + u.bbox.width ? x - 9 * scale - width : x + 9 * scale;
      let top = y + 4 * scale;
      while (taken.some((t) => Math.abs(t.top - top) < 13 * scale && t.left < left + width && left < t.left + t.width)) top += 13 * scale;
      taken.push({ top, left, width });
      ctx.lineWidth = 3 * scale;
      ctx.strokeStyle = css("--back");
      ctx.strokeText(text, left, top);
      ctx.fillStyle = color(m.color);
      ctx.fillText(text, left, top);
    }
    ctx.restore();
  }

  // Decisions above a plot. Those that would touch are one mark, with their number and reasons; choosing it zooms in.
  function lane(decisions, sync) {
    let made = [], at = "";
    return (u) => {
      const where = [u.scales.x.min, u.scales.x.max, u.over.clientWidth].join();
      if (where === at) return;
      at = where;
      const focused = made.includes(document.activeElement);
      made.forEach((mark) => mark.remove());
      const places = [];
      for (const d of decisions) {
        const x = u.valToPos(d.x, "x"), last = places.at(-1);
        if (x < -1 || x > u.over.clientWidth + 1) continue;
        if (last && x - last.x < TOUCH) last.all.push(d); else places.push({ x, all: [d] });
      }
      made = places.map(({ x, all }) => {
        const changes = all.filter((d) => d.from !== d.to);
        const up = changes.length && changes.at(-1).to > changes[0].from;
        const text = changes.length > 1 ? String(changes.length) : changes.length ? (up ? "▲" : "▼") : "";
        const className = "decided" + (changes.length ? "" : " look") + (changes.length > 1 ? " many" : "");
        const looks = all.reduce((sum, d) => sum + d.looks, 0);
        const mark = button(u, { className, text, told: together(all, changes, looks), of: all[0].color, count: looks });
        mark.style.left = x + "px";
        if (all.length > 1) mark.addEventListener("click", () => {
          const [from, to] = [all[0].x, all.at(-1).x], room = Math.max((to - from) * 0.2, 0.5);
          zoom(sync, Math.max(0, from - room), to + room);
        });
        return mark;
      });
      firstStops(made);
      if (focused) made.find((mark) => mark.tabIndex === 0)?.focus();
    };
  }

  function together(all, changes, looks) {
    if (all.length === 1) return all[0].tip;
    const when = `${clock(all[0].x)} to ${clock(all.at(-1).x)}`;
    if (!changes.length) return `${when}: ${looks} looks, none of which changed the capacity\n${reasons(all)}`;
    if (changes.length === 1) return `${changes[0].tip}\n(${when}: ${looks} looks, this one change)`;
    return `${when}: ${changes.length} changes in ${looks} looks, ${changes[0].from} → ${changes.at(-1).to}\n${reasons(changes)}`;
  }
  function reasons(all) {
    const counts = new Map();
    for (const d of all) counts.set(d.why, (counts.get(d.why) || 0) + d.looks);
    return [...counts].sort((a, b) => b[1] - a[1]).map(([why, n]) => (n > 1 ? `${why} × ${n}` : why)).join(", ");
  }

  // Stretches of the horizontal axis, under the lines.
  function spans(all) {
    return (u) => {
      const { ctx, bbox } = u, scale = devicePixelRatio;
      ctx.save();
      ctx.font = FONT.replace("12px", `${12 * scale}px`);
      ctx.textAlign = "left";
      for (const span of all) {
        const [from, to] = [span.from, span.to].map((v) => u.valToPos(v, "x", true));
        ctx.fillStyle = color(span.color) + "30";
        ctx.fillRect(from, bbox.top, Math.max(to - from, 2 * scale), bbox.height);
        if (span.at == null) continue;
        const x = u.valToPos(span.at, "x", true), width = ctx.measureText(span.label).width;
        ctx.strokeStyle = ctx.fillStyle = color(span.color);
        ctx.lineWidth = scale;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        const left = Math.max(from, to) + 6 * scale;
        ctx.fillText(span.label, left + width > bbox.left + bbox.width ? Math.min(from, to) - 6 * scale - width : left, bbox.top + 16 * scale);
      }
      ctx.restore();
    };
  }

  function axis(of, size, space) {
    const line = { stroke: css("--line"), width: 1 };
    const made = { size, space, stroke: css("--soft"), font: FONT, grid: line, ticks: { ...line, size: of.bare ? 0 : 5 },
      values: (u, ticks) => ticks.map((v) => (of.bare || v == null ? "" : TICK[of.unit](v))) };
    if (of.log) {
      made.filter = (u, ticks) => ticks;
      made.splits = (u, n, low, high) => {
        const inside = (list) => list.filter((v) => v >= low * 0.999 && v <= high * 1.001);
        const room = (n ? u.bbox.height : u.bbox.width) / devicePixelRatio / space, [fine, main] = LOG[of.unit].map(inside);
        return fine.length <= room || main.length < 2 ? fine : main;
      };
    } else if (of.burst) {
      made.filter = (u, ticks) => ticks;
      made.splits = (u, n, low, high) => [0, ...LOG.number[1].filter((v) => v >= 1 && v <= high)];
    } else if (of.unit === "seconds") {
      made.incrs = TIMES;
    }
    return made;
  }

  // From zero to the highest value, or, where the axis is a logarithm, from tick to tick. Points count like lines.
  const range = ({ log, burst, max, unit }, room, points) => (u, lowest, highest) => {
    const low = Math.min(lowest ?? Infinity, ...points), high = Math.max(highest ?? 0, ...points);
    if (burst) return [0, LOG.number[0].find((v) => v >= high) || high];
    if (!log) return [0, (max || high || 1) * room];
    const ticks = LOG[unit][0], above = ticks.find((v) => v >= high * 1.02);
    const from = ticks.findLast((v) => v <= low * 1.001) || ticks[0], to = above || ticks.at(-1);
    return from < to ? [from, to] : [from / 2, to * 2];
  };

  const scale = (of, room, points) => ({ time: false, distr: of.log ? 3 : of.burst ? 4 : 1, asinh: 1, range: range(of, room, points) });

  // A logarithm has no zero: the least time is a millisecond, and what costs nothing is not drawn.
  const positive = ({ log, unit }, values) => (log ? values.map((v) => (v > 0 ? v : v === 0 && unit === "seconds" ? 0.001 : null)) : values);

  // What the lines are called, and what they are where the cursor is.
  function legend(lines, at) {
    const box = make("div", { className: "legend" }, at);
    return lines.map((line) => {
      const entry = make("span", {}, box), stroke = color(line.color);
      entry.innerHTML = `<svg width="26" height="10" aria-hidden="true"><rect width="26" height="10" rx="2" fill="${line.fill ? stroke + "38" : "none"}"/>` +
        `<line x1="0" y1="5" x2="26" y2="5" stroke="${stroke}" stroke-width="2" stroke-dasharray="${DASHES[line.dash % DASHES.length]}"/></svg>`;
      entry.append(" " + line.label + " ");
      return make("output", {}, entry);
    });
  }

  // Where the cursor is, a line may have no point of its own: its nearest one.
  function nearest(u, n, index) {
    const values = u.data[n];
    for (let off = 0; n && off < values.length; off++) {
      if (values[index - off] != null) return index - off;
      if (values[index + off] != null) return index + off;
    }
    return index;
  }

  function draw(picture, data) {
    const { id, x, y, sync, low } = picture, at = document.getElementById(id);
    if (!at) return;
    const lines = picture.lines.filter((line) => line.y.some((v) => v != null));
    table(picture, lines, data);
    at.replaceChildren();
    if (!lines.length) { at.textContent = "No data yet."; return; }
    const told = legend(lines, at), columns = [], series = [], bands = [], shown = [];
    for (const line of lines) {
      const n = series.length + 1, xs = data.columns[line.x], stroke = color(line.color);
      const plain = { spanGaps: true, points: { show: false }, paths: line.step ? uPlot.paths.stepped({ align: 1 }) : undefined };
      const put = (values, more) => { columns.push([xs, positive(y, values)]); series.push({ ...plain, ...more }); };
      shown.push(n);
      put(line.y, { stroke, width: 2, dash: DASHES[line.dash % DASHES.length], fill: line.fill ? stroke + "38" : undefined });
      if (!line.low) continue;
      for (const edge of ["high", "low"]) put(line[edge], { stroke: stroke + "60", width: 1 });
      bands.push({ series: [n + 1, n + 2], fill: stroke + "38" });
    }
    const joined = columns.length === 1 ? columns[0] : uPlot.join(columns);
    const along = scale(x, 1, picture.marks.map((m) => m.x));
    const narrow = at.clientWidth < 480, top = picture.lane ? 26 : 8;
    const options = {
      width: at.clientWidth, height: top + (low ? 100 : narrow ? 210 : 280) + (x.bare ? 6 : 34), padding: [top, narrow ? 14 : 26, 0, 0],
      legend: { show: false },
      cursor: { sync: sync ? { key: sync } : undefined, drag: { x: true, y: false }, points: { size: 6 }, dataIdx: nearest },
      scales: { x: { ...along, range: unlessZoomed(along.range, joined[0]) }, y: scale(y, 1.05, picture.marks.map((m) => m.y)) },
      axes: [axis(x, x.bare ? 6 : 34, narrow ? 64 : 80), axis(y, narrow ? 54 : 66, 26)],
      series: [{}, ...series],
      bands,
      hooks: {
        drawClear: [spans(picture.spans || [])],
        draw: [picture.lane ? lane(picture.lane, sync) : points(picture.marks)],
        setCursor: [(u) => shown.forEach((n, of) => {
          const index = u.cursor.idxs?.[n];
          told[of].textContent = u.cursor.left < 0 || index == null ? "" : write(y, u.data[n][index]);
        })],
        setScale: [(u, key) => {
          if (key !== "x" || !sync) return;
          const [from, to] = fullRange(u), { min, max } = u.scales.x;
          if (near(min, from) && near(max, to)) zooms.delete(sync); else zooms.set(sync, [min, max]);
        }],
      },
    };
    const kept = zooms.get(sync), u = new uPlot(options, joined, at);
    u.over.addEventListener("keydown", walk);
    if (kept && sync) u.setScale("x", { min: kept[0], max: kept[1] });
    plots.push({ u, picture });
  }

  // The data behind a picture as a table, and its marks as another; made when they are opened.
  function table({ id, x, y, marks, lane }, lines, data) {
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
      const points = [...marks, ...(lane || [])];
      if (points.length) fill(at, [x.label, "mark"], points.map((m) => [write(x, m.x), m.tip]));
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

  return {
    /// What the horizontal axis of a picture shows now.
    range(id) {
      const { min, max } = plots.find(({ picture }) => picture.id === id).u.scales.x;
      return [min, max];
    },
    draw(data) {
      hide();
      while (plots.length) plots.pop().u.destroy();
      data.pictures.forEach((picture) => draw(picture, data));
    },
  };
})();
