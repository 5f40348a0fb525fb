// Debian's chromium, headless, and what every check needs of it.
import { chromium } from "playwright-core";

export const THEMES = ["light", "dark"];
export const WIDTHS = [360, 1280];

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
export async function open(browser, url, { theme = "light", width = 1280 } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: theme });
  page.said = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  await page.goto(url);
  await page.waitForSelector("body[data-drawn=yes]");
  return page;
}
