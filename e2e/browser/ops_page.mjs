// The operator's pages in Chromium, over a real server that needs a token and delivers to a small EMR: narrow and wide, with and
// without JavaScript, by the rules of axe; pause, edit and replay as an operator does it.
import { chromium } from "playwright-core";
import { isAccessible } from "./accessible.mjs";
import { startEmr } from "./emr.mjs";
import { equal } from "./expect.mjs";
import { opener } from "./page.mjs";
import { headers, serveWithToken } from "./server.mjs";

const widths = [320, 1280];
const REFUSED = ["refused-1", "refused-2", "refused-3"];

const emr = await startEmr();
const weir = await serveWithToken(
  "ops",
  `[[destination]]\nname = "clinic-emr"\nurl = "${emr.url}"\nmode = "put"\nper_second = 10\n`,
);
const browser = await chromium.launch({ executablePath: process.env.WEIR_CHROMIUM, args: ["--no-sandbox"] });
const open = opener(browser, weir, "operator");

async function json(path) {
  const answer = await fetch(weir.base + path, { headers });
  equal(`${path} answers`, 200, answer.status);
  return answer.json();
}

async function put(id, active) {
  const body = JSON.stringify({ resourceType: "Patient", id, active });
  const answer = await fetch(`${weir.base}/fhir/Patient/${id}`, { method: "PUT", headers, body });
  equal(`a patient is written: ${id}`, true, answer.ok);
}

/** Asks the API until the destination is as `wanted`. */
async function until(what, wanted) {
  for (let tries = 0; tries < 600; tries += 1) {
    const answer = await fetch(`${weir.base}/ops/api/destinations/default/clinic-emr`, { headers });
    const status = answer.ok ? await answer.json() : {};
    if (answer.ok && wanted(status)) return equal(what, true, true);
    await new Promise((done) => setTimeout(done, 100));
  }
  equal(what, true, false);
}

const live = (page, part) => page.locator(`[data-live="default/clinic-emr/${part}"]`);
const number = async (page, part) => Number((await live(page, part).innerText()).replaceAll(",", ""));

async function nobodyGetsInWithoutTheToken() {
  for (const path of ["/ops", "/ops/events", "/ops/style.css", "/ops/api/destinations", "/metrics"]) {
    const answer = await fetch(weir.base + path);
    equal(`${path} without the token`, 401, answer.status);
  }
  const wrong = { authorization: `Basic ${Buffer.from("operator:wrong").toString("base64")}` };
  const answer = await fetch(`${weir.base}/ops`, { headers: wrong });
  equal("a wrong password is asked for again", true, answer.headers.get("www-authenticate").includes("Basic realm="));
}

async function everyPageIsAccessible(width, javaScriptEnabled) {
  const refused = await json("/ops/api/destinations/default/clinic-emr/intents?state=dead");
  const pages = { overview: "/ops", destination: "/ops/default/clinic-emr", record: `/ops/default/clinic-emr/intents/${refused.intents[0].no}` };
  for (const [name, path] of Object.entries(pages)) {
    const what = `${name}, ${width} px, ${javaScriptEnabled ? "with" : "without"} JavaScript`;
    const { page, wrong, close } = await open(path, width, { javaScriptEnabled });
    const button = page.getByRole("button", { name: "Stop updating" });
    if (name !== "record") {
      if (javaScriptEnabled) await page.getByText("The numbers are live.").waitFor();
      equal(`${what}: the button to stop updates is there only when it works`, javaScriptEnabled, await button.isVisible());
      equal(`${what}: refused`, REFUSED.length, await number(page, "dead"));
      equal(`${what}: the last error is text`, true, (await live(page, "problem").innerText()).startsWith("422: business-rule Patient.active<true> ("));
    }
    if (javaScriptEnabled) await isAccessible(page, what);
    else {
      const says = await page.locator("#state").allInnerTexts();
      equal(`${what}: says how to refresh`, name !== "record", says.length > 0 && says[0].includes("Load the page again"));
    }
    await page.screenshot({ path: `ops-${name}-${width}${javaScriptEnabled ? "" : "-plain"}.png`, fullPage: true });
    await page.keyboard.press("Tab");
    equal(`${what}: the first stop of the keyboard is the skip link`, 1, await page.locator(".skip:focus").count());
    equal(`${what}: nothing went wrong`, [], wrong);
    await close();
  }
}

async function numbersMoveAndStop() {
  const { page, wrong, close } = await open("/ops", 1280);
  const before = await number(page, "delivered");
  await put("moving-1", true);
  await page.waitForFunction((before) => Number(document.querySelector('[data-live$="/delivered"]').textContent) > before, before);
  equal("live: the delivery is seen without loading again", before + 1, await number(page, "delivered"));
  await page.getByText("The numbers of the chart").click();
  equal("the numbers of the chart are a table", true, (await page.locator("details tbody tr").count()) >= 1);

  await page.getByRole("button", { name: "Stop updating" }).click();
  equal("stopped: said so", "The numbers stand still.", await page.locator("#state").innerText());
  await put("moving-2", true);
  await until("it is delivered", (status) => status.delivered === before + 2);
  equal("stopped: nothing moves", before + 1, await number(page, "delivered"));
  await page.getByRole("button", { name: "Update the numbers" }).click();
  await page.waitForFunction((wanted) => document.querySelector('[data-live$="/delivered"]').textContent === wanted, String(before + 2));
  equal("nothing went wrong on the live page", [], wrong);
  await close();
}

async function operatorPausesAndResumes(javaScriptEnabled) {
  const what = `${javaScriptEnabled ? "with" : "without"} JavaScript`;
  const { page, wrong, close } = await open("/ops", 1280, { javaScriptEnabled });
  await page.getByRole("link", { name: "Pause clinic-emr" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  equal(`paused ${what}: said so`, true, (await page.locator(".notice").innerText()).startsWith("Paused."));
  const held = `held-${javaScriptEnabled}`;
  await put(held, true);
  await until(`paused ${what}: it waits`, (status) => status.paused && status.depth === 1);
  await page.reload();
  equal(`paused ${what}: the page shows what waits`, true, (await page.locator("#waiting ~ table").innerText()).includes(`Patient/${held}`));
  equal(`paused ${what}: no end is promised`, "not before it is resumed", await live(page, "eta").innerText());
  equal(`paused ${what}: nothing arrives`, false, emr.taken.has(`/Patient/${held}`));
  if (javaScriptEnabled) await isAccessible(page, "a paused destination");
  await page.getByRole("button", { name: "Resume" }).click();
  equal(`resumed ${what}: said so`, "Resumed. Records are sent again.", await page.locator(".notice").innerText());
  await until(`resumed ${what}: it is delivered`, (status) => !status.paused && status.depth === 0);
  equal(`resumed ${what}: it has arrived`, true, emr.taken.has(`/Patient/${held}`));
  equal(`pause and resume ${what}: nothing went wrong`, [], wrong);
  await close();
}

async function operatorPutsARecordRight(id, width, javaScriptEnabled) {
  const what = `edit ${javaScriptEnabled ? "with" : "without"} JavaScript`;
  const { page, close } = await open("/ops/default/clinic-emr", width, { javaScriptEnabled });
  await page.getByRole("link", { name: new RegExp(`^Look at it or change it.*Patient/${id}$`) }).click();
  const text = page.getByLabel("The record as JSON");
  const good = (await text.inputValue()).replace('"active": false', '"active": true');
  await text.fill(good.replace('"Patient"', '"Patient'));
  await page.getByRole("button", { name: "Store and send" }).click();
  equal(`${what}: the title says that something is wrong`, true, (await page.title()).startsWith("Error: "));
  equal(`${what}: the reason is at the top`, true, (await page.locator(".errors").innerText()).includes("not valid JSON"));
  equal(`${what}: what was written is still there`, true, (await text.inputValue()).includes('"active": true'));
  if (javaScriptEnabled) await isAccessible(page, `a refused edit at ${width} px`);
  await page.screenshot({ path: `ops-edit-${width}.png`, fullPage: true });
  await page.locator(".errors a").first().click();
  await text.fill(good);
  await page.getByRole("button", { name: "Store and send" }).click();
  equal(`${what}: said so`, "The new version is stored and will be sent.", await page.locator(".notice").innerText());
  await until(`${what}: delivered`, () => emr.taken.get(`/Patient/${id}`)?.active === true);
  await close();
}

async function operatorSendsAgain() {
  const { page, close } = await open("/ops/default/clinic-emr", 1280, { javaScriptEnabled: false });
  await page.getByRole("button", { name: "Send all of them again" }).click();
  equal("replay: said so", "1 record will be sent again.", await page.locator(".notice").innerText());
  await until("replay: refused again", (status) => status.dead === 1 && status.depth === 0);
  await page.reload();
  await page.getByRole("button", { name: new RegExp(`^Send again.*Patient/${REFUSED[2]}$`) }).click();
  equal("replay of one: said so", "1 record will be sent again.", await page.locator(".notice").innerText());
  await close();
}

async function stopsAlthoughAPageIsLive() {
  const { page, close } = await open("/ops", 320);
  await page.getByText("The numbers are live.").waitFor();
  weir.child.kill("SIGTERM");
  const late = new Promise((done) => setTimeout(() => done("late"), 10_000));
  equal("SIGTERM: the server stops although a page is live", 0, await Promise.race([weir.ended, late]));
  await page.getByText("weir does not answer: these are the last numbers it gave.").waitFor();
  equal("server gone: the page says so", true, true);
  await page.screenshot({ path: "ops-gone-320.png", fullPage: true });
  await close();
}

try {
  for (let n = 0; n < 20; n += 1) await put(`good-${n}`, true);
  for (const id of REFUSED) await put(id, false);
  await until("everything is delivered or refused", (status) => status.delivered === 20 && status.dead === REFUSED.length);
  await nobodyGetsInWithoutTheToken();
  for (const width of widths) for (const script of [true, false]) await everyPageIsAccessible(width, script);
  await numbersMoveAndStop();
  for (const script of [true, false]) await operatorPausesAndResumes(script);
  await operatorPutsARecordRight(REFUSED[0], 1280, true);
  await operatorPutsARecordRight(REFUSED[1], 320, false);
  await operatorSendsAgain();
  await stopsAlthoughAPageIsLive();
} finally {
  await browser.close();
  emr.stop();
}
