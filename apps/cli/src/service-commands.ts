import type { Command } from "commander";
import type { Context } from "./context.js";

const RUNNER_HELP = `
A runner that dials out, and listens on nothing:
  MAIA_GATEWAY_URL                      address of the API, https:// outside loopback
  MAIA_CLIENT_ID, MAIA_CLIENT_SECRET    the runner's credentials
  MAIA_RUNNER_DATA_DIR                  its own folder; the same one after a restart
  MAIA_RUNNER_SLOTS                     steps at once; default 4 per core
  PROXY_HTTPS, PROXY_EXCLUDES           a proxy as host:port, and hosts that need none, divided by |
  CUSTOM_CERT_LOCATION                  file with certificates of a private authority
  Exit codes: 0 stopped, 2 a wrong setting, 75 to be started again, 77 credentials refused, 78 superseded.

A runner that listens for one engine:
  RUNNER_TOKEN                          at least 32 characters, the same for the engine
  MAIA_RUNNER_HOST, MAIA_RUNNER_PORT    where it listens; default 127.0.0.1 and 9090

More: docs/guides/runners.md`;

/** `maia up`, and each part as a process of its own. */
export function addServices(program: Command, context: Context): void {
  const load = () => import("./commands/services.js");
  program
    .command("up")
    .description("start Maia here: API, engine and local execution in one process")
    .option("--data <folder>", "data directory (MAIA_DATA_DIR, else .maia)")
    .option("--port <number>", "port of the API (MAIA_API_PORT, else 3690; 0 for any)")
    .option("--host <address>", "address to listen on (MAIA_API_HOST, else 127.0.0.1)")
    .action(async (flags) => (await load()).up(context, flags));
  for (const name of ["api", "engine", "runner"] as const) {
    const command = program
      .command(name)
      .description(`start the ${name} as a process of its own, configured by the environment`)
      .action(async () => (await load()).service(name));
    if (name === "runner") command.addHelpText("after", RUNNER_HELP);
  }
}
