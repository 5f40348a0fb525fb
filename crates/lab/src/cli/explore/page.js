"use strict";
// The knobs of an exploration. A change is simulated by the server that this page is from, and drawn by the report's own
// script: first from a part of a long load, then from all of it. While an answer is awaited, only the newest change waits.
(() => {
  // An answer that takes longer is given up for a newer change; a shorter one is drawn, so that a slider that moves shows it.
  const PATIENCE_MS = 300;
  const { knobs, values: start, choices, hidden } = JSON.parse(document.getElementById("knobs-data").textContent);
  const form = document.getElementById("knobs"), status = document.getElementById("redrawn");
  const turned = {}, rows = {};
  const make = (tag, properties, parent) => {
    const node = Object.assign(document.createElement(tag), properties);
    if (parent) parent.append(node);
    return node;
  };
  const id = (path) => "knob-" + path.replace(/[^a-z0-9]+/gi, "-");

  // What a file has as a number, and back.
  const UNITS = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400 };
  const FORMS = {
    plain: { read: (v) => v, write: (n) => n },
    optional: { read: (v) => v, write: (n) => n },
    share: { read: (v) => +(v * 100).toPrecision(12), write: (n) => +(n / 100).toPrecision(12) },
    duration: {
      read: (v) => [...String(v).matchAll(/([\d.]+)([a-z]+)/g)].reduce((sum, [, n, unit]) => sum + n * UNITS[unit], 0),
      write: (n) => `${n}s`,
    },
  };

  // Where a number is on its slider, of 0 to 1000, and back: multiples of the step, and two digits where the steps are wide.
  function scale({ least, most, step, log }) {
    const far = Math.log1p((most - least) / step);
    const tidy = (v) => {
      const unit = log ? Math.max(step, 10 ** (Math.floor(Math.log10(Math.max(v, step))) - 1)) : step;
      return +Math.min(most, Math.max(least, Math.round(v / unit) * unit)).toPrecision(12);
    };
    const share = (v) => (log ? Math.log1p(Math.max(0, v - least) / step) / far : (v - least) / (most - least));
    return {
      place: (v) => Math.round(1000 * Math.min(1, Math.max(0, share(v)))),
      value: (place) => tidy(log ? least + step * Math.expm1((place / 1000) * far) : least + (place / 1000) * (most - least)),
      // A key moves by a step, or by a twentieth where that is more; the page keys by a half.
      next: (v, way, wide) => tidy(v + way * Math.max(step, log ? Math.abs(v) * (wide ? 0.5 : 0.05) : (most - least) * (wide ? 0.1 : 0.01))),
    };
  }
  const KEYS = { ArrowRight: [1, 0], ArrowUp: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [-1, 0], PageUp: [1, 1], PageDown: [-1, 1] };

  function turn(path, value) {
    if (JSON.stringify(value) === JSON.stringify(start[path])) delete turned[path];
    else turned[path] = value;
    const told = Object.keys(turned).length ? "#" + encodeURIComponent(JSON.stringify(turned)) : location.pathname;
    history.replaceState(null, "", told);
    changed();
  }

  function numbers(knob, row, label) {
    const { least, most, unit, form } = knob, { read, write } = FORMS[form], at = scale(knob);
    const field = make("input", { type: "number", id: id(knob.path), min: least, step: "any" }, row);
    if (form === "optional") field.placeholder = "none";
    const slider = make("input", { type: "range", min: 0, max: 1000, step: 1 }, row);
    slider.setAttribute("aria-label", `${label}, slider`);
    const put = (n) => {
      field.value = n ?? "";
      slider.value = n == null ? 1000 : at.place(n);
      slider.setAttribute("aria-valuetext", n == null ? "none" : `${n} ${unit}`.trim());
    };
    const take = (n) => { put(n); turn(knob.path, n == null ? null : write(n)); };
    field.addEventListener("input", () => {
      const n = field.value === "" ? null : field.valueAsNumber;
      if (n == null && form !== "optional") return;
      slider.value = n == null ? 1000 : at.place(n);
      turn(knob.path, n == null ? null : write(n));
    });
    slider.addEventListener("input", () => take(at.value(+slider.value)));
    slider.addEventListener("keydown", (event) => {
      const key = KEYS[event.key];
      if (!key) return;
      event.preventDefault();
      take(at.next(field.value === "" ? most : field.valueAsNumber, ...key));
    });
    return (value) => put(value == null ? null : read(value));
  }

  const CONTROLS = {
    number: numbers,
    text: (knob, row) => {
      row.classList.add("words");
      const field = make("input", { type: "text", id: id(knob.path), spellcheck: false }, row);
      field.addEventListener("change", () => turn(knob.path, field.value));
      return (value) => { field.value = value ?? ""; };
    },
    choice: (knob, row) => {
      row.classList.add("words");
      const field = make("select", { id: id(knob.path) }, row);
      for (const word of choices[knob.path]) make("option", { value: word, textContent: word }, field);
      field.addEventListener("change", () => turn(knob.path, field.value));
      return (value) => { field.value = value; };
    },
    switch: (knob, row) => {
      const field = make("input", { type: "checkbox", id: id(knob.path) }, row);
      field.addEventListener("change", () => turn(knob.path, field.checked));
      return (value) => { field.checked = value; };
    },
  };

  const wide = matchMedia("(min-width: 1000px)").matches;
  for (const group of new Set(knobs.map((knob) => knob.group))) {
    const details = make("details", { open: wide || group === "Load" }, form);
    make("summary", { textContent: group }, details);
    for (const knob of knobs.filter((knob) => knob.group === group)) {
      const label = knob.unit ? `${knob.label}, ${knob.unit}` : knob.label;
      const row = make("div", { className: "knob" }, details);
      make("label", { htmlFor: id(knob.path), textContent: label }, row);
      const put = CONTROLS[knob.control](knob, row, label);
      const mistake = make("p", { className: "mistake", id: id(knob.path) + "-mistake" }, row);
      mistake.setAttribute("role", "alert");
      rows[knob.path] = { row, put, mistake, field: row.querySelector("input, select") };
    }
  }
  form.addEventListener("submit", (event) => event.preventDefault());

  function fill() {
    for (const [path, { put }] of Object.entries(rows)) put(path in turned ? turned[path] : start[path]);
  }

  // A knob that has no meaning now, such as the rate of a burst, is left out.
  function hide(paths) {
    for (const [path, { row }] of Object.entries(rows)) row.hidden = paths.includes(path);
  }

  function tell(mistakes) {
    for (const [path, { mistake, field }] of Object.entries(rows)) {
      const own = mistakes.filter((one) => one.path === path).map((one) => one.what).join("; ");
      mistake.textContent = own;
      field.toggleAttribute("aria-invalid", !!own);
      if (own) field.setAttribute("aria-describedby", mistake.id);
      else field.removeAttribute("aria-describedby");
    }
    const elsewhere = mistakes.filter((one) => !rows[one.path]).map((one) => `${one.path}: ${one.what}`);
    if (mistakes.length) status.textContent = elsewhere.length ? elsewhere.join("; ") : "A setting cannot be: see below. The pictures show the last that could.";
  }

  const ask = (what, body, signal) => fetch(what, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal,
  });
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

  let flight = null, waits = null, timer = null;
  function changed() {
    waits = { since: performance.now(), part: "quick" };
    document.body.dataset.settled = "no";
    if (!flight) return next();
    const age = performance.now() - flight.since;
    if (flight.part === "whole" || age >= PATIENCE_MS) flight.control.abort();
    else if (!timer) timer = setTimeout(() => { timer = null; if (flight && waits) flight.control.abort(); }, PATIENCE_MS - age);
  }

  async function next() {
    clearTimeout(timer);
    timer = null;
    flight = { ...waits, sent: performance.now(), control: new AbortController() };
    flight.first = flight.since;
    flight.since = flight.sent;
    waits = null;
    try {
      await redraw(flight);
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = `No answer: ${error.message}. Does twinscale explore still run?`;
    }
    flight = null;
    if (waits) next();
    else document.body.dataset.settled = "yes";
  }

  async function redraw({ first, part, control }) {
    const answer = await ask("simulate", { values: turned, part }, control.signal);
    if (answer.status === 422) return tell(await answer.json());
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    tell([]);
    hide(told.hidden);
    // What another setting brought with it, such as the rate of another shape.
    for (const [path, value] of Object.entries(told.values)) if (!(path in turned) && rows[path].field !== document.activeElement) rows[path].put(value);
    twinscale.show(told.state);
    await painted();
    const took = performance.now() - first, all = told.factor <= 1;
    if (!all && !waits) waits = { since: first, part: "whole" };
    const messages = all ? count(told.messages) : `${count(told.messages / told.factor)} of ${count(told.messages)}`;
    status.textContent = `${messages} messages on each target, simulated in ${count(told.simulated_ms)} ms; redrawn ${count(took)} ms after the change${all ? "" : ", and soon from all of them"}.`;
    // For whoever measures.
    const seen = document.body.dataset;
    seen.redraws = +(seen.redraws || 0) + 1;
    Object.assign(seen, { redrawn: took, part: all ? "whole" : "quick", simulated: told.simulated_ms, written: told.written_ms });
  }

  function save(name, text) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name }, document.body);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }

  const saves = make("div", { className: "saves" }, form);
  const told = make("div", { className: "wide", hidden: true }, form);
  function press(textContent, act) {
    make("button", { type: "button", textContent }, saves).addEventListener("click", async () => {
      try { await act(); } catch (error) { status.textContent = `${textContent}: ${error.message}`; }
    });
  }
  async function answered(what) {
    const answer = await ask(what, { values: turned });
    if (!answer.ok) throw new Error(answer.status === 422 ? "a setting cannot be" : await answer.text());
    return answer;
  }
  press("Save as scenario", async () => save("explored.toml", await (await answered("scenario")).text()));
  press("Save as patches", async () => {
    const { patches, left } = await (await answered("patches")).json();
    const text = patches.map((patch) => patch.diff).join("\n");
    if (text) save("explored.patch", text);
    const pre = make("pre", { tabIndex: 0, textContent: [text || "No file has to change.", ...left].join("\n") });
    told.replaceChildren(pre);
    told.hidden = false;
  });
  press("Begin again", async () => {
    for (const path of Object.keys(turned)) delete turned[path];
    history.replaceState(null, "", location.pathname);
    fill();
    changed();
  });

  try {
    if (location.hash) Object.assign(turned, JSON.parse(decodeURIComponent(location.hash.slice(1))));
  } catch {
    status.textContent = "The address has settings that cannot be read: this is the beginning.";
  }
  fill();
  hide(hidden);
  changed();
})();
