// Follows a live page to the end of its run in a real browser: two viewers, one of whom reloads in the middle, and a third
// who goes away. Both targets race: for a while both are under way, and both have a latency. The page that is left must be the report that the run wrote.
//
// usage: live.mjs TWINSCALE
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { check, launch, open } from "./browser.mjs";

// A browser that is slow to start must not miss the race.
const browser = await launch();
const out = mkdtempSync(join(tmpdir(), "twinscale-live-"));
const run = spawn(process.argv[2], ["compare", "--scenario", "article", "--messages", "300", "--speed", "5", "--live", "--out", out]);
const ended = new Promise((done) => run.on("exit", done));
run.stdout.resume();
const address = await new Promise((found) => {
  let said = "";
  run.stderr.on("data", (data) => {
    said += data;
    const at = /live: (http:\/\/127\.0\.0\.1:\d+\/)/.exec(said);
    if (at) found(at[1]);
  });
  run.on("exit", (code) => check(code === 0, `the run ended with ${code}: ${said}`));
});

const [stays, reloads, leaves] = await Promise.all([1, 2, 3].map(() => open(browser, address)));
const marks = (page) => page.evaluate(() => [...document.querySelectorAll(".mark.decided")].reduce((sum, mark) => sum + Number(mark.dataset.count), 0));
const until = (page, seen) => page.waitForFunction(seen, undefined, { timeout: 120_000 });
const follows = () => document.querySelectorAll(".mark.decided").length > 1 && /[1-9]\d* of 300/.test(document.getElementById("summary").textContent);
const races = () => {
  const cards = [...document.querySelectorAll("#summary .card")].map((card) => card.textContent);
  const done = cards.map((text) => Number(/(\d+) of 300 done/.exec(text)?.[1]));
  return cards.length === 2 && done.every((n) => n > 0 && n < 300) && cards.every((text) => /p95 just now[\d.]/.test(text)) &&
    document.querySelectorAll("#p95 canvas").length === 1;
};
await until(stays, races);
await until(leaves, follows);
await leaves.close();
const before = await marks(reloads);
await reloads.reload();
await until(reloads, follows);
check((await marks(reloads)) >= before, "a reload loses what was before it");

const finished = () => document.body.dataset.done === "yes" || !JSON.parse(document.getElementById("data").textContent).live;
await Promise.all([stays, reloads].map((page) => until(page, finished)));
check((await ended) === 0, "the run did not end well");
const report = await open(browser, pathToFileURL(join(out, "report.html")).href);
const text = (page) => page.evaluate(() => [...document.querySelectorAll("section")].map((s) => s.innerText));
const wanted = await text(report);
for (const page of [stays, reloads]) {
  check(JSON.stringify(await text(page)) === JSON.stringify(wanted), "the page that is left is not the report");
  check((await marks(page)) === (await marks(report)), "the page that is left lacks marks");
  check(!page.said.length, `the console says ${page.said.slice(0, 3)}`);
}
// A first state of one point is not a zoom that the later states keep.
const ranges = await report.evaluate(async () => {
  const whole = JSON.parse(document.getElementById("data").textContent), first = structuredClone(whole);
  first.columns = Object.fromEntries(Object.entries(first.columns).map(([name, column]) => [name, column.slice(0, 1)]));
  const drawn = async (state) => { pictures.draw(state); await new Promise(requestAnimationFrame); return pictures.range("flow"); };
  return [await drawn(whole), await drawn(first), await drawn(whole)];
});
check(JSON.stringify(ranges[2]) === JSON.stringify(ranges[0]), `a state of one point leaves a zoom: ${JSON.stringify(ranges)}`);

await browser.close();
rmSync(out, { recursive: true });
console.log(`live page: ok, followed to its end by two viewers`);
