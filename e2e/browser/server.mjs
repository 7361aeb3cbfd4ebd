// Servers that a test starts, each ready when it has said its address.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `said` finds the base URL in what the program prints. */
export function start(program, args, said, options = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const ended = new Promise((done) => child.on("exit", done));
  return new Promise((done, failed) => {
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        text += chunk;
        const found = text.match(said);
        if (found) done({ base: found[1], child, ended });
      });
    }
    ended.then(() => failed(new Error(`${program} ended early: ${text}`)));
  });
}

export function startWeir(config) {
  return start(process.env.WEIR_BIN, ["--config", config, "serve"], /serves FHIR R4 at (http:\/\/[0-9.:]+)\/fhir/);
}

export const TOKEN = "a-token-of-the-browser-test";
/** Of a program that has the token. */
export const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/fhir+json" };

/** A server on a directory of its own that asks for the token, with `more` in its configuration. Gone when the test is. */
export async function serveWithToken(name, more = "") {
  const dir = mkdtempSync(join(tmpdir(), `weir-${name}-`));
  writeFileSync(join(dir, "token"), TOKEN);
  writeFileSync(
    join(dir, "weir.toml"),
    `server.listen = "127.0.0.1:0"\nserver.token_file = "${dir}/token"\nstore.dir = "${dir}/data"\n` +
      `store.master_key_file = "${dir}/key"\nlog.level = "warn"\n${more}`,
  );
  const weir = await startWeir(join(dir, "weir.toml"));
  // A check that fails ends the process at once.
  process.on("exit", () => {
    weir.child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });
  return weir;
}
