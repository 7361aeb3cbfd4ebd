// Servers that a test starts, each ready when it has said its address.
import { spawn } from "node:child_process";

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
