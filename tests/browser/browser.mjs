// Debian's chromium, headless, and what every check needs of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const THEMES = ["light", "dark"];
export const WIDTHS = [360, 390, 1280];

export function check(condition, what) {
  if (!condition) {
    console.error(`browser: ${what}`);
    process.exit(1);
  }
}

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM || "chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] })
    .catch(() => chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] }));

/// A page that gathers whatever its console says.
export async function open(browser, url, { theme = "light", width = 1280, locale } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: theme, locale });
  page.said = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  await page.goto(url);
  await page.waitForSelector("body[data-drawn=yes]");
  return page;
}

/// The rules of WCAG 2.1 A and AA and the best practices.
export async function accessible(page, where) {
  await page.evaluate(axe);
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
  const { violations } = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), rules);
  const told = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 2).map((n) => n.html).join(" ")}`);
  check(!told.length, `${where}: ${told.join("\n")}`);
}
