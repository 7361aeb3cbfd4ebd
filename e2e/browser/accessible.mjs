// What every page must fulfil, whatever it shows.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { equal } from "./expect.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export async function isAccessible(page, what) {
  const { scroll, shown } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, shown: innerWidth }));
  equal(`${what}: no horizontal scrolling`, true, scroll <= shown);
  await page.evaluate(axe);
  const found = await page.evaluate((tags) => axe.run({ runOnly: tags }), WCAG);
  const broken = found.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target).join(", ")}`);
  equal(`${what}: axe finds no violation`, [], broken);
  equal(`${what}: axe checked contrast and landmarks`, true, ["color-contrast", "region"].every((id) => found.passes.some((rule) => rule.id === id)));
}
