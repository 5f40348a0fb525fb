// Explores in a real browser: sliders and fields by mouse and by keyboard change the curves, what cannot be is told beside its
// knob, settings are saved as files that the program reads, and only pages of this machine are answered. Prints how long
// redraws took for 10,000, 100,000 and 1,000,000 messages.
//
// usage: explore.mjs [--pictures DIR] TWINSCALE
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { THEMES, accessible, check, launch, open } from "./browser.mjs";

const args = process.argv.slice(2);
const pictures = args[0] === "--pictures" ? args.splice(0, 2)[1] : undefined;
const twinscale = args[0];
const explore = spawn(twinscale, ["explore", "--scenario", "default", "--goal", "p95<30s"]);
const address = await new Promise((found) => {
  let said = "";
  explore.stderr.on("data", (data) => {
    said += data;
    const at = /explore: (http:\/\/127\.0\.0\.1:\d+\/)/.exec(said);
    if (at) found(at[1]);
  });
  explore.on("exit", (code) => check(code === 0, `explore ended with ${code}: ${said}`));
});

const browser = await launch();
const settled = (page) => page.waitForFunction(() => document.body.dataset.settled === "yes", undefined, { timeout: 120_000 });
const knob = (path) => "#knob-" + path.replace(/[^a-z0-9]+/gi, "-");
const seen = (page) => page.evaluate(() => ({
  ...document.body.dataset,
  curves: [...document.querySelectorAll(".chart canvas")].map((canvas) => canvas.toDataURL()).join(),
  text: document.getElementById("summary").innerText,
}));
async function changes(page, what, act) {
  await settled(page);
  const before = await seen(page);
  await act();
  await settled(page);
  const after = await seen(page);
  check(before.curves !== after.curves && before.text !== after.text, `${what} changes neither curves nor figures`);
  return after;
}
const type = async (page, path, text) => {
  await page.locator(knob(path)).fill(text);
  await page.locator(knob(path)).press("Tab");
};

// What people see.
for (const theme of THEMES) {
  for (const width of [390, 1280]) {
    const page = await open(browser, address, { theme, width });
    const where = `explore, ${theme}, ${width} px`;
    await settled(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(over <= 0, `${where}: ${over} px wider than the window`);
    await page.evaluate(() => document.querySelectorAll("#knobs details").forEach((details) => { details.open = true; }));
    await accessible(page, where);
    const opened = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(opened <= 0, `${where}: with every knob ${opened} px wider than the window`);
    if (pictures && width === 390) await page.evaluate(() => document.querySelectorAll("#knobs details + details").forEach((details) => { details.open = false; }));
    if (pictures) await page.screenshot({ path: `${pictures}/explore-${theme}-${width}.png`, clip: { x: 0, y: 0, width, height: 1600 }, fullPage: true });
    check(!page.said.length, `${where}: the console says ${page.said.slice(0, 3)}`);
    await page.close();
  }
}

// What they do.
const page = await open(browser, address);
await settled(page);
const slider = page.getByRole("slider", { name: "maxReplicaCount, slider" });
await changes(page, "dragging a slider", async () => {
  const box = await slider.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height / 2);
  await page.mouse.down();
  for (const share of [0.35, 0.3, 0.25, 0.2, 0.15]) await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
  await page.mouse.up();
});
const few = await page.locator(knob("eks.keda.maxReplicaCount")).inputValue();
check(+few < 15, `the field beside the slider says ${few}`);
await changes(page, "an arrow key on a slider", async () => {
  await slider.focus();
  await page.keyboard.press("ArrowRight");
});
check(+(await page.locator(knob("eks.keda.maxReplicaCount")).inputValue()) > +few, "an arrow key does not move the number");
check((await slider.getAttribute("aria-valuetext")).startsWith(await page.locator(knob("eks.keda.maxReplicaCount")).inputValue()), "a screen reader hears another number");
await changes(page, "a field", () => type(page, "lambda.mapping.MaximumConcurrency", "3"));
await changes(page, "an empty field", () => type(page, "lambda.mapping.MaximumConcurrency", ""));
await changes(page, "a distribution", () => type(page, "work.wait", "lognormal:3s,0.4"));
await changes(page, "the shape of the load", () => page.locator(knob("load.shape")).selectOption("steady"));
check(await page.locator(knob("load.rate")).isVisible(), "a steady load has no rate");
check(+(await page.locator(knob("load.rate")).inputValue()) > 0, "the rate has no value");
await changes(page, "a rate", () => type(page, "load.rate", "35"));
await page.locator(knob("prices.options.hosting")).selectOption("m7g.large");
await settled(page);
check(await page.locator(knob("prices.options.hosting.nodes.spot_discount")).isVisible(), "nodes have no discount");
const reload = await page.evaluate(() => location.href);
await page.goto("about:blank");
await page.goto(reload);
await settled(page);
check((await page.locator(knob("load.rate")).inputValue()) === "35", "a reload forgets what was turned");

// What cannot be is told where it is, and the pictures stay.
const before = await seen(page);
await type(page, "eks.keda.minReplicaCount", "999");
await settled(page);
const field = page.locator(knob("eks.keda.minReplicaCount"));
check((await field.getAttribute("aria-invalid")) !== null, "what cannot be is not marked");
check((await page.locator(knob("eks.keda.minReplicaCount") + "-mistake").innerText()).includes("is above maxReplicaCount"), "the reason is missing");
check((await seen(page)).curves === before.curves, "a mistake blanks the pictures");
await type(page, "eks.keda.minReplicaCount", "1");
await settled(page);
check((await field.getAttribute("aria-invalid")) === null, "a mistake stays when it is repaired");

// Files.
const folder = mkdtempSync(join(tmpdir(), "twinscale-explore-"));
async function saved(button) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button }).click()]);
  const path = join(folder, download.suggestedFilename());
  await download.saveAs(path);
  return path;
}
const shown = (await seen(page)).text;
const path = await saved("Save as scenario");
const out = join(folder, "out");
execFileSync(twinscale, ["compare", "--engine", "simulated", "--scenario", path, "--out", out], { stdio: ["ignore", "ignore", "inherit"] });
const run = JSON.parse(readFileSync(join(out, "run.json"), "utf8"));
check(run.scenario.load.rate === 35 && run.scenario.eks.keda.maxReplicaCount < 15, "the scenario is another");
check(shown.length > 50, "there is no verdict");
const patch = readFileSync(await saved("Save as patches"), "utf8");
check(/\+.*maxReplicaCount: \d+/.test(patch), `the patch lacks a change: ${patch}`);
await changes(page, "beginning again", () => page.getByRole("button", { name: "Begin again" }).click());

// Many changes in a row: those in between are left out, and the last one is drawn.
const count = +(await seen(page)).redraws;
await slider.focus();
for (let n = 0; n < 40; n += 1) await page.keyboard.press(n < 35 ? "ArrowRight" : "ArrowLeft");
await settled(page);
const drawn = +(await seen(page)).redraws - count;
check(drawn >= 1 && drawn <= 41, `${drawn} redraws of 40 changes`);
const last = await page.locator(knob("eks.keda.maxReplicaCount")).inputValue();
check((await page.evaluate(() => document.getElementById("scenario").textContent)).includes(`"maxReplicaCount": ${last}`), "the last change is not what is drawn");
console.log(`explore: 40 changes in a row, ${drawn} redraws`);

// Only pages of this machine are answered.
const asked = (headers, method = "GET") => new Promise((done) => {
  const { port } = new URL(address);
  request({ host: "127.0.0.1", port, path: method === "GET" ? "/" : "/simulate", method, headers }, (response) => { response.resume(); done(response.statusCode); }).end(method === "GET" ? undefined : '{"values":{}}');
});
const host = new URL(address).host, json = { "content-type": "application/json" };
check((await asked({ host })) === 200, "the page is not served");
check((await asked({ host: `attacker.example:${host.split(":")[1]}` })) === 403, "a name that was pointed here is answered");
check((await asked({ host, origin: "http://attacker.example", ...json }, "POST")) === 403, "another site may ask");
check((await asked({ host, origin: `http://${host}`, ...json }, "POST")) === 200, "the page itself may not ask");

// How long it takes: from the change of a field until the pictures are painted.
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
for (const [shape, rates] of [["burst", null], ["steady", 1 / 1200]]) {
  await page.locator(knob("load.shape")).selectOption(shape);
  await settled(page);
  for (const messages of [10_000, 100_000, 1_000_000]) {
    if (rates) await type(page, "load.rate", String(Math.max(1, Math.round(messages * rates))));
    await type(page, "eks.keda.maxReplicaCount", "200");
    await type(page, "messages", String(messages));
    await settled(page);
    const firsts = [], wholes = [], simulated = [];
    for (let n = 0; n < 7; n += 1) {
      const redraws = +(await seen(page)).redraws;
      await page.locator(knob("eks.pod.concurrency")).fill(String(20 + n));
      await page.waitForFunction((redraws) => +document.body.dataset.redraws > redraws, redraws, { timeout: 120_000, polling: "raf" });
      firsts.push(+(await page.evaluate(() => document.body.dataset.redrawn)));
      await settled(page);
      const { redrawn, simulated: ms } = await seen(page);
      wholes.push(+redrawn);
      simulated.push(+ms);
    }
    const [first, whole, ms] = [firsts, wholes, simulated].map(median).map(Math.round);
    console.log(`explore: ${shape}, ${messages} messages: first redraw ${first} ms after the change, all of it after ${whole} ms (simulated in ${ms} ms); medians of 7`);
  }
}
check(!page.said.filter((said) => !said.includes("422")).length, `the console says ${page.said.slice(0, 3)}`);
await browser.close();
rmSync(folder, { recursive: true });
explore.removeAllListeners("exit");
const gone = new Promise((done) => explore.on("exit", done));
explore.kill("SIGTERM");
check((await gone) === 0, "explore does not end when it is told to");
console.log("explore: ok");
