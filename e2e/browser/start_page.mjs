// The start page of `weir demo` in Chromium: what it says is true, every link works, and anybody can use it:
// narrow and wide, with and without JavaScript, by keyboard, and by the rules of WCAG 2.1 AA that axe can check.
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";
import { isAccessible } from "./accessible.mjs";
import { equal } from "./expect.mjs";

const base = process.env.WEIR_URL;
const widths = [320, 1280];

const browser = await chromium.launch({ executablePath: process.env.WEIR_CHROMIUM, args: ["--no-sandbox"] });
const json = async (path) => (await fetch(base + path, { headers: { accept: "application/fhir+json" } })).json();

/** A page with its clock in the test's hand, and all that went wrong on it. */
async function open(width, options = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("requestfailed", (request) => wrong.push(`${request.url()} failed`));
  page.on("response", (response) => response.status() >= 400 && wrong.push(`${response.url()} is ${response.status()}`));
  if (options.javaScriptEnabled !== false) await page.clock.install();
  const answer = await page.goto(base);
  equal(`${width} px: the page loads`, 200, answer.status());
  return { page, wrong, close: () => context.close() };
}

const live = (page, key) => page.locator(`[data-live="${key}"]`).innerText();
const number = (text) => Number(text.replaceAll(",", ""));
const until = (page, key, value) =>
  page.waitForFunction(([key, value]) => document.querySelector(`[data-live="${key}"]`).textContent === value, [key, value]);

async function saysWhatIsTrue() {
  const { page, wrong, close } = await open(1280);
  const rows = await page.locator("tbody tr").count();
  equal("counts: every type of the demo has a row", true, rows >= 7);
  for (const type of ["Patient", "Immunization", "Observation"]) {
    const { total } = await json(`/fhir/${type}?_summary=count`);
    equal(`counts: ${type}`, total, number(await live(page, type)));
  }
  equal("nothing went wrong on the page", [], wrong);
  await close();
}

async function everyLinkWorks() {
  const { page, close } = await open(1280);
  const links = await page.locator("a").evaluateAll((all) => all.map((a) => a.href));
  const elsewhere = links.filter((link) => !link.startsWith(base));
  equal("links: all lead to this server", [], elsewhere);
  for (const link of links) equal(`link ${link.slice(base.length)}`, 200, (await fetch(link)).status);
  for (const link of await page.locator(".searches a").evaluateAll((all) => all.map((a) => a.getAttribute("href")))) {
    const bundle = await json(link);
    equal(`search ${link} finds something`, true, bundle.total > 0 || bundle.entry?.length > 0);
  }
  for (const command of await page.locator("pre").allInnerTexts()) {
    const shown = execFileSync("bash", ["-c", command.replace(/^curl /, "curl --fail --silent --show-error ")]);
    equal(`command: ${command.split("\n")[0].replace(base, "")}`, true, "resourceType" in JSON.parse(shown));
  }
  await page.locator(".searches a").first().click();
  const text = await page.locator("body").innerText();
  equal("a link is shown as text in the browser, not downloaded", "Bundle", JSON.parse(text).resourceType);
  await close();
}

async function numbersMove() {
  const { page, wrong, close } = await open(1280);
  const before = { requests: number(await live(page, "requests")), patients: number(await live(page, "Patient")) };
  const create = { method: "POST", headers: { "content-type": "application/fhir+json" } };
  for (let n = 0; n < 20; n += 1) await json("/fhir/Patient?_count=1");
  await fetch(`${base}/fhir/Patient`, { ...create, body: '{"resourceType":"Patient","active":true}' });
  await fetch(`${base}/fhir/Basic`, { ...create, body: '{"resourceType":"Basic","code":{"text":"a type that was not there"}}' });
  await page.clock.runFor(3_000);
  await until(page, "Patient", (before.patients + 1).toLocaleString("en"));
  equal("live: requests", true, number(await live(page, "requests")) >= before.requests + 22);
  equal("live: requests each second", true, number(await live(page, "rate")) > 0);
  equal("live: half and 99 of 100 requests", true, /^within \d/.test(await live(page, "half")) && /^within \d/.test(await live(page, "most")));
  equal("live: a new type has its row", 1, number(await live(page, "Basic")));

  const views = [];
  page.on("request", (request) => views.push(request.url()));
  await page.getByRole("button", { name: "Stop updating" }).click();
  await page.clock.runFor(60_000);
  equal("stopped: nothing is asked for in a minute", [], views);
  equal("stopped: said so", "The numbers stand still.", await page.locator("#state").innerText());
  await fetch(`${base}/fhir/Basic`, { ...create, body: '{"resourceType":"Basic","code":{"text":"another"}}' });
  await page.getByRole("button", { name: "Update the numbers" }).click();
  await until(page, "Basic", "2");
  equal("nothing went wrong on the page", [], wrong);
  await close();
}

async function saysWhenTheServerIsGone() {
  const { page, close } = await open(1280);
  await page.route("**/*", (route) => route.abort());
  await page.clock.runFor(3_000);
  await page.getByText("weir does not answer").waitFor();
  equal("server gone: the page says so", "weir does not answer: these are the last numbers it gave.", await page.locator("#state").innerText());
  await close();
}

async function anybodyCanUseIt(width) {
  const { page, wrong, close } = await open(width);
  await page.screenshot({ path: `start-${width}.png`, fullPage: true });
  await isAccessible(page, `${width} px`);
  await page.keyboard.press("Tab");
  equal(`${width} px: the first stop of the keyboard is the skip link`, "Skip to the content", await page.evaluate(() => document.activeElement.textContent));
  const box = await page.locator(".skip").boundingBox();
  equal(`${width} px: the skip link can be seen`, true, box.x >= 0 && box.y >= 0);
  await page.keyboard.press("Enter");
  equal(`${width} px: it leads to the content`, "main", await page.evaluate(() => document.activeElement.id));
  await page.keyboard.press("Tab");
  await page.screenshot({ path: `focus-${width}.png` });
  equal(`${width} px: nothing went wrong on the page`, [], wrong);
  await close();
}

async function worksWithoutJavaScript(width) {
  const { page, wrong, close } = await open(width, { javaScriptEnabled: false });
  equal(`${width} px without JavaScript: heading`, "A FHIR R4 server with made-up patients", await page.locator("h1").innerText());
  const { total } = await json("/fhir/Patient?_summary=count");
  equal(`${width} px without JavaScript: counts`, total, number(await live(page, "Patient")));
  equal(`${width} px without JavaScript: no dead button`, false, await page.locator("button").isVisible());
  equal(`${width} px without JavaScript: says how to refresh`, "Load the page again for new numbers.", await page.locator("#state").innerText());
  const before = number(await live(page, "requests"));
  await json("/fhir/Patient?_count=1");
  await page.reload();
  equal(`${width} px without JavaScript: new numbers after loading again`, true, number(await live(page, "requests")) > before);
  await page.screenshot({ path: `plain-${width}.png`, fullPage: true });
  equal(`${width} px without JavaScript: nothing went wrong`, [], wrong);
  await close();
}

try {
  await saysWhatIsTrue();
  await everyLinkWorks();
  for (const width of widths) await anybodyCanUseIt(width);
  for (const width of widths) await worksWithoutJavaScript(width);
  await numbersMove();
  await saysWhenTheServerIsGone();
} finally {
  await browser.close();
}
