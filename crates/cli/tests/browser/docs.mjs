// Looks at the documentation as a browser does: axe-core and widths in both themes, the choice of a theme, search. Prints one JSON
// object.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, chromium, modules] = process.argv.slice(2);
const require = createRequire(modules + "/");
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const violations = [];
const wrong = (what, where, detail) => violations.push({ what, where, detail });
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
await page.setBypassCSP(true);
page.on("console", (m) => { if (m.type() === "error") wrong("console", page.url(), m.text()); });
page.on("pageerror", (e) => wrong("script", page.url(), String(e)));

for (const [theme, judged] of [["light", 320], ["dark", 1280]]) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  for (const path of ["/docs", "/docs/operations", "/docs/benchmarks", "/search?q=backup"]) {
    for (const width of [320, 768, 1280]) {
      await page.setViewport({ width, height: 900 });
      await page.goto(url + path, { waitUntil: "domcontentloaded" });
      const where = `${path}, ${theme}, ${width} px`;
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (over > 0) wrong("too wide", where, `${over} px`);
      if (width !== judged) continue;
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      for (const v of found.violations) wrong(`axe ${v.id}`, where, v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | "));
    }
  }
}

// The browser is dark; a reader chooses light, and the next page is light too.
const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await page.goto(`${url}/docs`);
const dark = await background();
await page.select("[name=theme]", "light");
const light = await background();
await page.goto(`${url}/docs/site`);
if (light === dark || (await background()) !== light) wrong("theme", "/docs/site", `${dark}, ${light}, ${await background()}`);

// Search with the keyboard.
await page.type(".find input", "webhook secret");
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
const results = await page.$$eval(".results a", (links) => links.map((a) => a.getAttribute("href")));
if (!results.some((href) => href.split("#")[0] === "/docs/webhooks")) wrong("search", page.url(), results.join(" "));

await browser.close();
console.log(JSON.stringify({ violations }));
