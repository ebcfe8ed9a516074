import type { Context } from "../context.js";
import { ownVersion } from "../version.js";

export interface UpFlags {
  readonly data?: string;
  readonly port?: string;
  readonly host?: string;
}

/** `maia up`: API, engine and local execution in this process, until it is told to stop. */
export async function up({ env, terminal, clock }: Context, flags: UpFlags): Promise<void> {
  const [{ readLogging, runService }, standalone] = await Promise.all([
    import("@maia/service"),
    import("@maia/standalone"),
  ]);
  const settings = {
    ...env,
    ...(flags.data === undefined ? {} : { MAIA_DATA_DIR: flags.data }),
    ...(flags.port === undefined ? {} : { MAIA_API_PORT: flags.port }),
    ...(flags.host === undefined ? {} : { MAIA_API_HOST: flags.host }),
  };
  const logger = readLogging(settings, "maia", process.stderr.isTTY === true);
  await runService("maia up", logger, async () => {
    const maia = await standalone.start(standalone.readConfig(settings), { logger, clock });
    terminal.print(`Maia ${ownVersion()} is ready at ${maia.url}`);
    terminal.print(`  data       ${maia.dataDir.root}`);
    terminal.print(`  isolation  ${maia.isolation}`);
    if (maia.poolMax !== null) {
      terminal.print(`  hosted     up to ${maia.poolMax} runners of its own`);
      standalone.rollOnHangup(maia);
    }
    terminal.print("  next       maia apply -f FILE, then maia run WORKFLOW --follow");
    return maia;
  });
}

/** `maia api`, `maia engine`, `maia runner`: one part as a process of its own, configured by the environment. */
export async function service(name: "api" | "engine" | "runner"): Promise<void> {
  if (name === "api") await import("@maia/api/main");
  else if (name === "engine") await import("@maia/engine/main");
  else await import("@maia/runner/main");
}
