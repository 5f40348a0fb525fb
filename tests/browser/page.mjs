// Opens finished pages in a real browser and checks what a person would see, hear and print.
//
// usage: page.mjs [--pictures DIR] PAGE.HTML...
//
// In light and dark, at 360 and 1,280 pixels: no console message, every picture drawn, nothing wider than the window, the
// accessibility rules of WCAG 2.1 A and AA and the best practices (axe-core), every mark with its tooltip by mouse and by
// keyboard, every picture with its table; and the page on paper. --pictures keeps screenshots of the last page, which is how
// docs/pictures are made.
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { THEMES, WIDTHS, check, launch, open } from "./browser.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const args = process.argv.slice(2);
const pictures = args[0] === "--pictures" ? args.splice(0, 2)[1] : undefined;
check(args.length > 0, "usage: page.mjs [--pictures DIR] PAGE.HTML...");

async function accessible(page, where) {
  await page.evaluate(axe);
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
  const { violations } = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), rules);
  const told = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 2).map((n) => n.html).join(" ")}`);
  check(!told.length, `${where}: ${told.join("\n")}`);
}

/// Focuses every mark and reads its tooltip; then the mouse and the arrow keys do the same for one.
async function marks(page, where) {
  const { all, wrong } = await page.evaluate(() => {
    const all = [...document.querySelectorAll(".mark")], tip = document.getElementById("tip");
    const told = (mark) => {
      mark.hidden = false;
      mark.focus();
      const shown = tip.style.display === "block" && tip.textContent === mark.dataset.tip && tip.textContent.length > 10;
      mark.blur();
      return shown && tip.style.display === "none" && mark.getAttribute("aria-label") === mark.dataset.tip;
    };
    return { all: all.length, wrong: all.filter((mark) => !told(mark)).map((mark) => mark.outerHTML) };
  });
  check(all > 0 && !wrong.length, `${where}: ${wrong.length} of ${all} marks have no tooltip: ${wrong[0]}`);
  const stops = await page.locator(".mark[tabindex='0']").count();
  const places = await page.evaluate(() => new Set([...document.querySelectorAll(".mark")].map((m) => m.parentNode)).size);
  check(stops === places, `${where}: ${stops} tab stops for the marks of ${places} pictures`);
  const first = page.locator(".mark[tabindex='0']").first();
  await first.focus();
  await page.keyboard.press("End");
  const last = await page.evaluate(() => [document.activeElement.dataset.tip, document.getElementById("tip").textContent]);
  check(last[0] && last[0] === last[1], `${where}: the keyboard does not reach the last mark`);
  await page.keyboard.press("Escape");
  check(await page.locator("#tip").isHidden(), `${where}: Escape does not close the tooltip`);
  const under = page.locator(".mark").last();
  await under.hover({ force: true });
  check(await page.locator("#tip").isVisible(), `${where}: the mouse brings no tooltip`);
  await page.mouse.move(0, 0);
  return all;
}

async function tables(page, where) {
  const empty = await page.evaluate(async () => {
    const empty = [];
    for (const details of document.querySelectorAll("details[data-for]")) {
      details.open = true;
      await new Promise((done) => setTimeout(done));
      if (details.querySelectorAll("tbody tr").length < 2) empty.push(details.dataset.for);
      details.open = false;
    }
    return empty;
  });
  check(!empty.length, `${where}: pictures without a table: ${empty}`);
}

/// On paper: light whatever the screen is, and no picture wider than the sheet.
async function paper(page, where) {
  const pdf = await page.pdf({ format: "A4" });
  check(pdf.length > 20_000, `${where}: the print is empty`);
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  const [widest, back] = await page.evaluate(() => [
    Math.max(...[...document.querySelectorAll("canvas")].map((canvas) => canvas.getBoundingClientRect().width)),
    getComputedStyle(document.documentElement).getPropertyValue("--back").trim(),
  ]);
  check(widest <= 680 && back === "#ffffff", `${where}: on paper pictures are ${widest} px wide on ${back}`);
  await page.emulateMedia({ media: "screen" });
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
}

const browser = await launch();
for (const path of args) {
  const size = statSync(path).size;
  check(size <= 500_000, `${path}: ${size} bytes are more than 500 KB`);
  let count = 0;
  for (const theme of THEMES) {
    for (const width of WIDTHS) {
      const where = `${path}, ${theme}, ${width} px`;
      const page = await open(browser, pathToFileURL(resolve(path)).href, { theme, width });
      check((await page.getAttribute("body", "data-theme")) === theme, `${where}: the page does not follow the theme`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${where}: ${wide} px wider than the window`);
      const blank = await page.evaluate(() => [...document.querySelectorAll(".chart")].filter((c) => !c.querySelector("canvas")).map((c) => c.id));
      check(!blank.length, `${where}: not drawn: ${blank}`);
      if (pictures && path === args.at(-1) && width === 1280) {
        await page.screenshot({ path: `${pictures}/report-${theme}-${width}.png`, clip: { x: 0, y: 0, width, height: 1700 }, fullPage: true });
      }
      await accessible(page, where);
      count = await marks(page, where);
      await tables(page, where);
      if (width === 1280) await paper(page, where);
      check(!page.said.length, `${where}: the console says ${page.said.slice(0, 3)}`);
      await page.close();
    }
  }
  console.log(`${path}: ok, ${size} bytes, ${count} marks`);
}
await browser.close();
