// The page of a destination that is kept in step with a simulated OpenEMR: what it says before and after an outage, and its buttons.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { isAccessible } from "./accessible.mjs";
import { equal } from "./expect.mjs";
import { start, startWeir } from "./server.mjs";

const dir = mkdtempSync(join(tmpdir(), "weir-sync-"));
const sim = await start(process.env.WEIR_SIM_BIN, ["--profile", "openemr-8", "--listen", "127.0.0.1:0"], /at (http:\/\/[0-9.:]+)\n/);
const weir = await startWeir(enrol());
process.on("exit", () => {
  weir.child.kill("SIGKILL");
  sim.child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});
const browser = await chromium.launch({ executablePath: process.env.WEIR_CHROMIUM, args: ["--no-sandbox"] });

function run(...args) {
  const done = spawnSync(process.env.WEIR_BIN, args, { encoding: "utf8" });
  equal(`weir ${args[0]} ${args[1]} works: ${done.stderr}`, 0, done.status);
  return done.stdout;
}

/** Registers weir, approves it as an administrator would, and writes its configuration. */
function enrol() {
  const site = ["--url", sim.base, "--dir", join(dir, "creds")];
  const printed = run("emr", "enroll", ...site);
  const clients = printed.match(/registered (\S+) and ([^\s,]+)/).slice(1);
  for (const id of clients) {
    const body = JSON.stringify({ client_id: id });
    const done = spawnSync("curl", ["-fsS", "-H", "content-type: application/json", "-d", body, `${sim.base}/sim/approve`]);
    equal("a client is approved", 0, done.status);
  }
  writeFileSync(join(dir, "password"), "pass");
  run("emr", "login", ...site, "--user", "admin", "--password-file", join(dir, "password"));
  const destination = printed.slice(printed.indexOf("[[destination]]")).replace("per_second = 5", "per_second = 50");
  const config = join(dir, "weir.toml");
  writeFileSync(
    config,
    `server.listen = "127.0.0.1:0"\nstore.dir = "${dir}/data"\nstore.master_key_file = "${dir}/key"\nlog.level = "error"\n` +
      `${destination}\n[destination.sync]\nenabled = true\nevery_s = 2\n`,
  );
  return config;
}

async function state() {
  const answer = await fetch(`${weir.base}/sync/status`);
  return (await answer.json()).syncs?.[0] ?? {};
}

async function until(what, wanted) {
  for (let tries = 0; tries < 600; tries += 1) {
    const now = await state();
    if (wanted(now)) return equal(what, true, true);
    await new Promise((done) => setTimeout(done, 100));
  }
  equal(`${what}: ${JSON.stringify(await state())}`, true, false);
}

async function shows(name, width, texts) {
  const context = await browser.newContext({ viewport: { width, height: 800 } });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  await page.goto(`${weir.base}/ops/default/openemr`);
  const said = await page.locator("main").innerText();
  for (const text of texts) equal(`${name}, ${width} px: says ${text}`, true, said.includes(text));
  await isAccessible(page, `${name}, ${width} px`);
  await page.screenshot({ path: `sync-${name}-${width}.png`, fullPage: true });
  equal(`${name}, ${width} px: nothing went wrong`, [], wrong);
  return { page, close: () => context.close() };
}

try {
  await until("the first sweep and a round end", (now) => now.last_sweep && !now.last_sweep.problem && now.last_round);
  for (const width of [320, 1280]) await (await shows("calm", width, ["Synchronisation", "Changes", "Everything", "Done."])).close();
  const { page, close } = await shows("asked", 1280, ["Look for changes now"]);
  const before = (await state()).last_sweep.started_us;
  await page.getByRole("button", { name: "Look at everything now" }).click();
  equal("a sweep is asked for: said so", true, (await page.locator(".notice").innerText()).startsWith("It looks at everything now"));
  await until("the sweep ends", (now) => now.last_sweep.started_us > before);
  await close();
  sim.child.kill("SIGKILL");
  await until("the EMR is gone", (now) => now.alerts.includes("run-failed"));
  for (const width of [320, 1280]) await (await shows("failed", width, ["Alert: ", "It goes on where it stopped."])).close();
} finally {
  await browser.close();
  weir.child.kill("SIGTERM");
  sim.child.kill("SIGKILL");
}
