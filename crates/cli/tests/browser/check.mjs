// Looks at a site as a browser does: axe-core, widths, figures, keyboard, no scripts, themes. Prints one JSON object.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, chromium, modules] = process.argv.slice(2);
const require = createRequire(modules + "/");
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const violations = [];
const figures = {};
const wrong = (what, where, detail) => violations.push({ what, where, detail });

const english = ["/en/home", "/en/product", "/en/pricing", "/en/about", "/en/docs", "/en/docs/first-day", "/en/log", "/en/log/why-tides", "/en/pricing/basin", "/en/legal/imprint", "/en/search?q=tide", "/en/nothing-here"];
const others = ["de", "fr"].flatMap((locale) => ["home", "pricing", "docs/first-day", "log"].map((page) => `/${locale}/${page}`));
const themes = ["light", "dark", "dusk", "high-contrast"];
const densities = ["compact", "regular", "comfortable"];

const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--disable-gpu"] });

async function open(path, setup) {
  const page = await browser.newPage();
  await page.setBypassCSP(true);
  await page.setViewport({ width: 1280, height: 900 });
  await page.evaluateOnNewDocument(() => {
    window.__shift = 0;
    window.__paint = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.__shift += e.value; }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.__paint = e.startTime; }).observe({ type: "largest-contentful-paint", buffered: true });
  });
  if (setup) await setup(page);
  await page.goto(url + path, { waitUntil: "networkidle0" });
  return page;
}

async function judge(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const v of found.violations) wrong(`axe ${v.id}`, where, v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " " + (n.failureSummary || "").split("\n").pop().trim()).join(" | "));
}

// Figures of a reader's first visit, and what the page loads.
for (const path of english) {
  const page = await browser.newPage();
  const context = page;
  await context.setCacheEnabled(false);
  await context.setViewport({ width: 1280, height: 900 });
  let bytes = 0;
  const client = await context.createCDPSession();
  await client.send("Network.enable");
  const media = new Map();
  client.on("Network.responseReceived", (e) => {
    media.set(e.requestId, e.type);
    if (!e.response.url.startsWith(url) && !e.response.url.startsWith("data:")) wrong("another host", path, e.response.url);
  });
  client.on("Network.loadingFinished", (e) => { if (media.get(e.requestId) !== "Image") bytes += e.encodedDataLength; });
  context.on("console", (m) => { if (m.type() === "error" && !path.includes("nothing-here")) wrong("console", path, m.text()); });
  context.on("pageerror", (e) => wrong("script", path, String(e)));
  await context.evaluateOnNewDocument(() => {
    window.__shift = 0;
    window.__paint = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.__shift += e.value; }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.__paint = e.startTime; }).observe({ type: "largest-contentful-paint", buffered: true });
  });
  await context.goto(url + path, { waitUntil: "networkidle0" });
  const { shift, paint } = await context.evaluate(() => ({ shift: window.__shift, paint: window.__paint }));
  figures[path] = { lcp_ms: Math.round(paint), cls: shift, bytes };
  await page.close();
}

// Accessibility: every page as it comes, some in every theme and density.
for (const path of [...english, ...others]) {
  const page = await open(path);
  await judge(page, path);
  await page.close();
}
for (const path of ["/en/home", "/en/pricing", "/en/docs/first-day"]) {
  const page = await open(path);
  for (const theme of themes) {
    for (const density of densities) {
      await page.evaluate((t, d) => { document.documentElement.dataset.theme = t; document.documentElement.dataset.density = d; }, theme, density);
      await new Promise((done) => setTimeout(done, 220));
      await judge(page, `${path} ${theme} ${density}`);
    }
  }
  await page.close();
}

// Widths: nothing has to be scrolled sideways, and fingers meet what they aim at.
for (const path of ["/en/home", "/en/pricing", "/en/docs/first-day", "/en/search", "/en/search?q=tide", "/de/home", "/fr/pricing"]) {
  const page = await open(path);
  for (const width of [320, 375, 768, 1280, 1920]) {
    await page.setViewport({ width, height: 900 });
    const seen = await page.evaluate(() => {
      const small = [...document.querySelectorAll("a, button, select, input, summary")].filter((e) => {
        const box = e.getBoundingClientRect();
        const inline = e.closest("p, .prose, li p, dd") && e.tagName === "A" && !e.classList.contains("button") && !e.classList.contains("quiet");
        return box.width > 0 && !inline && (box.height < 24 || box.width < 24) && !e.classList.contains("skip");
      });
      return { overflow: document.documentElement.scrollWidth - innerWidth, small: small.slice(0, 3).map((e) => e.outerHTML.slice(0, 80)) };
    });
    if (seen.overflow > 0) wrong("sideways", `${path} at ${width}`, `${seen.overflow} px`);
    if (seen.small.length) wrong("small target", `${path} at ${width}`, seen.small.join(" | "));
  }
  await page.close();
}

// Keyboard, and a look that stays.
{
  const page = await open("/en/home");
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.className);
  if (first !== "skip") wrong("keyboard", "/en/home", `the first stop is ${first}, not the skip link`);
  await page.keyboard.press("Enter");
  await new Promise((done) => setTimeout(done, 100));
  const at = await page.evaluate(() => document.activeElement.id);
  if (at !== "content") wrong("keyboard", "/en/home", `the skip link leads to ${at}`);
  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.select("select[name=theme]", "dark");
  await page.goto(url + "/en/log", { waitUntil: "networkidle0" });
  const kept = await page.evaluate(() => ({ theme: document.documentElement.dataset.theme, page: getComputedStyle(document.body).backgroundColor }));
  if (kept.theme !== "dark" || kept.page === light) wrong("look", "/en/log", JSON.stringify(kept));
  await page.evaluate(() => localStorage.clear());
  await page.close();
}

// Search: by keyboard alone, with suggestions, from right to left, and without scripts.
{
  const page = await open("/en/search");
  const reach = async (what) => {
    for (let stops = 0; stops < 40; stops++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((what) => document.activeElement.matches(what), what)) return true;
    }
    return false;
  };
  if (!(await reach("#q"))) wrong("keyboard", "/en/search", "the field cannot be reached");
  await page.keyboard.type("tid");
  const suggested = await page.waitForFunction(() => document.querySelectorAll("#suggestions option").length > 0, { timeout: 5000 }).catch(() => null);
  if (!suggested) wrong("suggestions", "/en/search", "none for tid");
  await page.keyboard.type("e");
  await Promise.all([page.waitForNavigation({ waitUntil: "networkidle0" }), page.keyboard.press("Enter")]);
  if (!(await reach(".entries a"))) wrong("keyboard", page.url(), "no result can be reached");
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  if (ring === "none") wrong("keyboard", page.url(), "the focus cannot be seen");
  for (const width of [320, 768, 1280]) {
    await page.setViewport({ width, height: 900 });
    const over = await page.evaluate(() => {
      document.documentElement.dir = "rtl";
      return document.documentElement.scrollWidth - document.documentElement.clientWidth;
    });
    if (over > 0) wrong("sideways", `/en/search?q=tide from right to left at ${width}`, `${over} px`);
  }
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  if (page.url().includes("/en/search")) wrong("keyboard", page.url(), "a result does not open");
  await page.close();
  const plain = await open("/en/search", (p) => p.setJavaScriptEnabled(false));
  await plain.type("#q", "offlnie");
  await Promise.all([plain.waitForNavigation(), plain.keyboard.press("Enter")]);
  if (!(await plain.content()).includes("<bdi>offline</bdi>")) wrong("without scripts", plain.url(), "no correction");
  await plain.close();
}

// Without scripts, and as the system asks.
{
  const page = await open("/en/pricing", (p) => p.setJavaScriptEnabled(false));
  const html = await page.content();
  if (!html.includes("Three sizes")) wrong("without scripts", "/en/pricing", "the plans are missing");
  await Promise.all([page.waitForNavigation(), page.click("nav a[href='/en/about']")]);
  if (!page.url().endsWith("/en/about")) wrong("without scripts", "/en/pricing", `a link leads to ${page.url()}`);
  await page.close();
  const asked = await open("/en/home", (p) => p.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }, { name: "prefers-reduced-motion", value: "reduce" }]));
  const seen = await asked.evaluate(() => ({ scheme: getComputedStyle(document.documentElement).colorScheme, page: getComputedStyle(document.body).backgroundColor, moves: getComputedStyle(document.querySelector(".button")).transitionDuration }));
  if (seen.scheme !== "dark") wrong("prefers dark", "/en/home", JSON.stringify(seen));
  if (parseFloat(seen.moves) !== 0) wrong("prefers less motion", "/en/home", seen.moves);
  await judge(asked, "/en/home, system dark");
  await asked.close();
}

await browser.close();
console.log(JSON.stringify({ violations, figures }));
