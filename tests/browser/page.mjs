// Opens finished pages in a real browser and checks what a person would see, hear and print.
//
// usage: page.mjs [--pictures DIR] PAGE.HTML...
//
// In light and dark, at 360, 390 and 1,280 pixels, and once in the locale of POSIX: no console message, every picture drawn, nothing wider than the window, the
// accessibility rules of WCAG 2.1 A and AA and the best practices (axe-core), every mark with its tooltip by mouse and by
// keyboard, every picture with its table; and the page on paper. --pictures keeps screenshots of the last page, which is how
// docs/pictures are made.
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { THEMES, WIDTHS, accessible, check, launch, open } from "./browser.mjs";

const args = process.argv.slice(2);
const pictures = args[0] === "--pictures" ? args.splice(0, 2)[1] : undefined;
check(args.length > 0, "usage: page.mjs [--pictures DIR] PAGE.HTML...");

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

/// A browser under LANG=C calls its language en-US@posix, which Intl refuses.
async function posix(browser, path) {
  const page = await open(browser, pathToFileURL(resolve(path)).href, { locale: "en-US@posix" });
  const { drawn, places } = await page.evaluate(() => ({
    drawn: document.querySelectorAll(".chart canvas").length,
    places: document.querySelectorAll(".chart").length,
  }));
  check(drawn === places && !page.said.length, `${path}: in the locale of POSIX ${drawn} of ${places} pictures are drawn: ${page.said[0]}`);
  await page.close();
}

/// Zooms into one picture with the mouse: all over time follow, a new state keeps it, and Escape undoes it.
async function zooms(page, where) {
  const over = page.locator("#flow .u-over");
  if (!(await over.count())) return;
  await over.scrollIntoViewIfNeeded();
  const box = await over.boundingBox();
  const ends = () => page.evaluate(() => [...document.querySelectorAll(".panels .chart")].map((c) => pictures.range(c.id).join()));
  const before = await ends();
  await page.mouse.move(box.x + box.width * 0.2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  const zoomed = await ends();
  check(new Set(zoomed).size === 1 && zoomed[0] !== before[0], `${where}: the pictures over time are at ${zoomed}`);
  await page.evaluate(() => twinscale.show({ sections: {}, title: document.title, data: JSON.parse(document.getElementById("data").textContent) }));
  const kept = await ends();
  check(kept.join() === zoomed.join(), `${where}: a new state undoes the zoom: ${kept[0]} for ${zoomed[0]}`);
  await page.keyboard.press("Escape");
  const back = await ends();
  check(back.join() === before.join(), `${where}: Escape does not zoom out: ${back[0]}`);
  await page.mouse.move(0, 0);
}

const browser = await launch();
for (const path of args) {
  const size = statSync(path).size;
  check(size <= 500_000, `${path}: ${size} bytes are more than 500 KB`);
  let count = 0;
  await posix(browser, path);
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
        await page.screenshot({ path: `${pictures}/report-${theme}-${width}.png`, clip: { x: 0, y: 0, width, height: 1120 }, fullPage: true });
      }
      await accessible(page, where);
      count = await marks(page, where);
      await tables(page, where);
      if (width === 1280 && theme === "light") await zooms(page, where);
      if (width === 1280) await paper(page, where);
      check(!page.said.length, `${where}: the console says ${page.said.slice(0, 3)}`);
      await page.close();
    }
  }
  console.log(`${path}: ok, ${size} bytes, ${count} marks`);
}
await browser.close();
