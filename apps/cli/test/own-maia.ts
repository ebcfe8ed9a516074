import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Maia } from "./run-maia.js";

/** A Maia of a test's own, with a folder for what the test writes. */
export interface OwnMaia extends AsyncDisposable {
  readonly folder: string;
  /** With it, the command finds this Maia and its key. */
  readonly env: Record<string, string>;
}

/** Starts a Maia for the test file that `name` names. */
export async function openOwnMaia(name: string): Promise<OwnMaia> {
  const folder = await mkdtemp(join(tmpdir(), `maia-cli-${name}-`));
  const data = join(folder, "data");
  const server = new Maia(["up", "--data", data, "--port", "0"]);
  await server.printed(/ready at http:\S+/);
  const env = { MAIA_URL: /ready at (http:\S+)/.exec(server.stdout)![1]!, MAIA_DATA_DIR: data };
  return {
    folder,
    env,
    [Symbol.asyncDispose]: async () => {
      server.child.kill("SIGTERM");
      await server.done;
      await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    },
  };
}
