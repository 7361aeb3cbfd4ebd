// The vaccine tracker in Chromium, over a real server that needs a token: every page narrow and wide, with and without JavaScript, by
// the rules of axe; numbers that move while somebody reads them; pairs decided by keyboard; a record taken out of a person.
import { chromium } from "playwright-core";
import { isAccessible } from "./accessible.mjs";
import { equal } from "./expect.mjs";
import { opener } from "./page.mjs";
import { headers, serveWithToken } from "./server.mjs";

const widths = [320, 1280];
const GIVEN = ["Albert", "Wendell", "Ignatius", "Cuthbert", "Zebulon", "Humphrey", "Octavio", "Kristof"];
const FAMILY = ["Ashdown", "Birchall", "Coppard", "Dunnett", "Eckhart", "Farthing", "Gatward", "Haddock"];
const PEOPLE = 48;

const weir = await serveWithToken("tracker");
const browser = await chromium.launch({ executablePath: process.env.WEIR_CHROMIUM, args: ["--no-sandbox"] });
const open = opener(browser, weir, "nurse");

async function put(resource) {
  const { resourceType, id } = resource;
  const answer = await fetch(`${weir.base}/fhir/${resourceType}/${id}`, { method: "PUT", headers, body: JSON.stringify(resource) });
  if (!answer.ok) equal(`${resourceType}/${id} is written: ${await answer.text()}`, true, false);
}

/** The day that is `days` ago. */
const ago = (days) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

function patient(id, given, family, birthDate, more = {}) {
  const n = [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 9973, 7);
  return {
    resourceType: "Patient", id, name: [{ given: [given], family }], birthDate, gender: n % 2 ? "female" : "male",
    telecom: [{ system: "phone", value: `413-${200 + (n % 700)}-${1000 + (n % 8999)}` }],
    address: [{ line: [`${1 + n} Cedar Lane`], city: "Springfield", state: "MA", postalCode: ["01002", "02139", "10027"][n % 3] }],
    ...more,
  };
}

function dose(id, patientId, cvx, day, lot, clinic) {
  return {
    resourceType: "Immunization", id, status: "completed", patient: { reference: `Patient/${patientId}` },
    vaccineCode: { coding: [{ system: "http://hl7.org/fhir/sid/cvx", code: cvx }] },
    occurrenceDateTime: day, lotNumber: lot, location: { reference: `Location/${clinic}` },
  };
}

/** A campaign of eight weeks, three pairs of twins, and a person with two records. */
async function fill() {
  await put({ resourceType: "Location", id: "north", name: "North Street Clinic" });
  await put({ resourceType: "Location", id: "pharmacy", name: "Pharmacy at the Old Town Hall & Sons" });
  for (let n = 0; n < PEOPLE; n += 1) {
    const year = 1940 + ((n * 17) % 75);
    const born = `${year}-${String(1 + ((n * 5) % 12)).padStart(2, "0")}-${String(2 + ((n * 11) % 26)).padStart(2, "0")}`;
    await put(patient(`p${n}`, GIVEN[n % 8], FAMILY[(Math.floor(n / 8) + n * 3) % 8], born));
    const [vaccine, lot] = n % 3 ? ["208", `PF${n % 5}01`] : ["207", `MD${n % 4}77`];
    const clinic = n % 4 ? "north" : "pharmacy";
    const first = 56 - ((n * 7) % 50);
    if (n % 6) await put(dose(`d${n}-1`, `p${n}`, vaccine, ago(first), lot, clinic));
    if (n % 2 && first > 22) await put(dose(`d${n}-2`, `p${n}`, vaccine, ago(first - 21), lot, clinic));
  }
  // Too young for the first, too soon for the second.
  await put(patient("child", "Wilhelmina", "Prendergast", ago(400)));
  await put(dose("child-1", "child", "10", ago(390), "POL1", "north"));
  await put(dose("child-2", "child", "10", ago(300), "POL1", "north"));
  await put(dose("child-3", "child", "10", ago(290), "POL1", "pharmacy"));
  const same = { telecom: [{ system: "phone", value: "617-555-0143" }] };
  await put(patient("ada", "Adelaide", "Lovelock", "1975-12-10", same));
  await put({ ...patient("ada", "Adelaide", "Lovelok", "1975-12-10", same), id: "ada-again" });
  await put(dose("ada-1", "ada", "208", ago(60), "PF001", "north"));
  await put(dose("ada-2", "ada-again", "208", ago(30), "PF101", "pharmacy"));
  for (const [at, [one, other]] of [["Agatha", "Bertram"], ["Constance", "Dominic"], ["Eleanor", "Florian"]].entries()) {
    const twin = patient(`twin${at}`, one, `Vanterpool${"abc"[at]}`, `199${at}-05-17`, { telecom: [{ system: "phone", value: `212-555-01${at}0` }] });
    await put(twin);
    await put({ ...twin, id: `twin${at}-b`, name: [{ given: [other], family: twin.name[0].family }] });
  }
}

async function nobodyGetsInWithoutTheToken() {
  for (const path of ["/tracker", "/tracker/events", "/tracker/person?id=ada", "/tracker/review", "/tracker/export/ages.csv"]) {
    equal(`${path} without the token`, 401, (await fetch(weir.base + path)).status);
  }
}

const pages = {
  numbers: "/tracker", clinical: "/tracker?programme=Polio", list: "/tracker/list?programme=Polio&mark=overdue",
  lot: "/tracker/lot?lot=PF101", find: "/tracker/person", person: "/tracker/person?id=ada", child: "/tracker/person?id=child", review: "/tracker/review",
};

async function everyPageIsAccessible(width, javaScriptEnabled) {
  for (const [name, path] of Object.entries(pages)) {
    const what = `${name}, ${width} px, ${javaScriptEnabled ? "with" : "without"} JavaScript`;
    const { page, wrong, close } = await open(path, width, { javaScriptEnabled });
    if (javaScriptEnabled) {
      if (name === "numbers") await page.getByText("The numbers are live.").waitFor();
      for (const folded of await page.locator("summary").all()) await folded.click();
      await isAccessible(page, what);
    }
    await page.screenshot({ path: `tracker-${name}-${width}${javaScriptEnabled ? "" : "-plain"}.png`, fullPage: true });
    await page.reload();
    await page.keyboard.press("Tab");
    equal(`${what}: the first stop of the keyboard is the skip link`, 1, await page.locator(".skip:focus").count());
    equal(`${what}: nothing went wrong`, [], wrong);
    await close();
  }
}

const number = async (page, name) =>
  page.locator("dl.numbers div", { has: page.getByText(name, { exact: true }) }).locator("dd").innerText();

async function numbersMoveWhileSomebodyReads() {
  const { page, wrong, close } = await open("/tracker", 1280);
  await page.getByText("The numbers are live.").waitFor();
  const before = Number(await number(page, "doses given"));
  const folded = page.locator("details", { hasText: "Doses by vaccine" });
  await folded.locator("summary").click();
  const lot = page.getByRole("link", { name: "Who got lot PF101" });
  await lot.focus();
  const written = Date.now();
  await put(dose("live-1", "p0", "208", ago(0), "PF101", "north"));
  await page.waitForFunction((wanted) => document.querySelector("dl.numbers").innerText.includes(wanted), String(before + 1));
  equal(`live: the dose is seen without loading again, in ${Date.now() - written} ms`, true, Date.now() - written < 3_000);
  equal("live: what was unfolded stays unfolded", true, await folded.evaluate((one) => one.open));
  equal("live: who is on a link stays on it", "Who got lot PF101", await page.evaluate(() => document.activeElement.textContent));
  await page.getByRole("button", { name: "Stop updating" }).click();
  equal("stopped: said so", "The numbers stand still.", await page.locator("#state").innerText());
  equal("nothing went wrong on the live page", [], wrong);
  await close();
}

async function aPersonIsFoundAndParted(width, javaScriptEnabled) {
  const what = `find ${javaScriptEnabled ? "with" : "without"} JavaScript`;
  const { page, wrong, close } = await open("/tracker/person", width, { javaScriptEnabled });
  await page.getByLabel("Family name").fill("Lovelock");
  await page.getByRole("button", { name: "Find" }).click();
  equal(`${what}: the title says that something is wrong`, true, (await page.title()).startsWith("Error: "));
  equal(`${what}: what was written is still there`, "Lovelock", await page.getByLabel("Family name").inputValue());
  if (javaScriptEnabled) await isAccessible(page, `a refused search at ${width} px`);
  await page.getByLabel("Birth date").fill("1975-12-10");
  await page.getByRole("button", { name: "Find" }).click();
  equal(`${what}: found`, true, (await page.locator("h1").innerText()).startsWith("Adelaide Lovelo"));
  equal(`${what}: no name in the address`, false, page.url().toLowerCase().includes("lovel"));
  if (!javaScriptEnabled) {
    await page.getByRole("button", { name: "Take out" }).click();
    equal(`${what}: a reason is asked for`, true, (await page.locator(".errors").innerText()).includes("say why"));
    await page.screenshot({ path: `tracker-unmerge-${width}.png`, fullPage: true });
    await page.getByLabel(/, ada-again$/).check();
    await page.getByLabel("Why (others will read it)").fill("sisters");
    await page.getByRole("button", { name: "Take out" }).click();
    await page.getByText("The two are kept apart from now on.").waitFor();
    equal(`${what}: only one record is left`, 0, await page.getByRole("button", { name: "Take out" }).count());
  }
  // The browser itself notes the page that a refused form answers with.
  equal(`${what}: nothing else went wrong`, [], wrong.filter((text) => !text.includes("400 (Bad Request)")));
  await close();
}

const shownPair = (page) => page.locator('input[name="other"]').first().inputValue();
const waiting = async (page) => Number(await page.locator("#waiting").innerText());

async function pairsAreDecidedByKeyboard() {
  const { page, wrong, close } = await open("/tracker/review", 1280);
  equal("review: three pairs wait", 3, await waiting(page));
  const first = await shownPair(page);
  const press = async (key) => {
    const loaded = page.waitForEvent("load");
    await page.keyboard.press(key);
    await loaded;
  };
  await press("s");
  const second = await shownPair(page);
  equal("review: s shows another pair", false, second === first);
  await press("ArrowLeft");
  equal("review: the left arrow goes back", first, await shownPair(page));
  await press("ArrowRight");
  equal("review: the right arrow goes on", second, await shownPair(page));
  await page.getByLabel("Why (may be left empty; others will read it)").focus();
  await page.keyboard.type("mens");
  equal("review: keys are text in the box", [3, "mens"], [await waiting(page), await page.locator("#why").inputValue()]);
  await page.locator("#keys summary").click();
  await page.getByRole("button", { name: "Turn the keys off" }).click();
  await page.locator("h1").click();
  await page.keyboard.press("m");
  await page.waitForTimeout(300);
  equal("review: turned off, a key does nothing", [second, "true"], [await shownPair(page), await page.locator("#keys-off").getAttribute("aria-pressed")]);
  await page.getByRole("button", { name: "Turn the keys off" }).click();
  await page.locator("h1").click();
  await press("m");
  equal("review: m links", "They are one person now.", (await page.locator(".notice").innerText()).slice(0, 24));
  equal("review: two are left", 2, await waiting(page));
  await isAccessible(page, "review after a decision");
  const change = page.getByText("Change who decides");
  await change.click();
  await page.getByLabel("Who is to decide (empty: nobody in particular)").fill("ann");
  await page.getByLabel("By which day (may be left empty)").fill("2020-02-03");
  await page.getByRole("button", { name: "Save who decides" }).click();
  await page.getByText("Who decides about this pair is noted.").waitFor();
  equal("review: who decides until when is said", true, (await page.locator("#assignment").innerText()).startsWith("ann is to decide by 3 Feb 2020. That day has passed."));
  await change.click();
  await isAccessible(page, "review with somebody who is to decide");
  await page.screenshot({ path: "tracker-review-assigned-1280.png", fullPage: true });
  await press("n");
  equal("review: n keeps apart", true, (await page.locator(".notice").innerText()).startsWith("They stay two people"));
  equal("nothing went wrong in review", [], wrong);
  await close();
}

async function theRestIsDecidedWithoutJavaScript() {
  const { page, close } = await open("/tracker/review", 320, { javaScriptEnabled: false });
  equal("review without JavaScript: the keys are not offered", false, await page.locator("#keys").isVisible());
  await page.getByRole("button", { name: "Take it off the list undecided" }).click();
  await page.getByText("Nothing is to be decided.").waitFor();
  await page.screenshot({ path: "tracker-review-empty-320.png", fullPage: true });
  await close();
}

try {
  await fill();
  await nobodyGetsInWithoutTheToken();
  for (const width of widths) for (const script of [true, false]) await everyPageIsAccessible(width, script);
  await numbersMoveWhileSomebodyReads();
  await aPersonIsFoundAndParted(1280, true);
  await aPersonIsFoundAndParted(320, false);
  await pairsAreDecidedByKeyboard();
  await theRestIsDecidedWithoutJavaScript();
} finally {
  await browser.close();
  weir.child.kill("SIGTERM");
  await weir.ended;
}
