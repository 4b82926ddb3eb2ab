// Reads custom properties as a browser computes them: for each sheet, nested elements under each wish of the reader. Prints one JSON object.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [given, chromium, modules] = process.argv.slice(2);
const puppeteer = createRequire(modules + "/")("puppeteer-core");
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
const client = await page.createCDPSession();
await page.goto("about:blank");

let checked = 0;
const wrong = [];
for (const sheet of JSON.parse(readFileSync(given, "utf8"))) {
  await page.evaluate((css) => {
    document.head.replaceChildren(Object.assign(document.createElement("style"), { textContent: css }));
  }, sheet.css);
  for (const { features, nestings } of sheet.states) {
    await client.send("Emulation.setEmulatedMedia", { features });
    const found = await page.evaluate((nestings, variables) => {
      const plain = (text) => text.replaceAll("/**/", "").replace(/\s+/g, " ").trim();
      const root = document.documentElement;
      const wrong = [];
      let checked = 0;
      for (const nesting of nestings) {
        for (const { name } of [...root.attributes]) root.removeAttribute(name);
        document.body.replaceChildren();
        let here = root;
        nesting.forEach(({ attributes, expected }, depth) => {
          if (depth > 0) here = (here === root ? document.body : here).appendChild(document.createElement("div"));
          for (const [name, value] of Object.entries(attributes)) here.setAttribute(name, value);
          const style = getComputedStyle(here);
          variables.forEach((variable, at) => {
            checked += 1;
            const value = plain(style.getPropertyValue(variable));
            if (value !== plain(expected[at])) {
              wrong.push({ variable, value, expected: expected[at], depth, nesting: nesting.map((n) => n.attributes) });
            }
          });
        });
      }
      return { checked, wrong };
    }, nestings, sheet.variables);
    checked += found.checked;
    wrong.push(...found.wrong.map((w) => ({ sheet: sheet.name, features, ...w })));
  }
}
await browser.close();
console.log(JSON.stringify({ checked, wrong_total: wrong.length, wrong: wrong.slice(0, 5) }));
