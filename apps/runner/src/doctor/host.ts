import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalExecutor } from "@maia/exec";
import { makeFolder } from "@maia/storage";
import type { RunnerConfig } from "../config.js";
import { Trouble } from "./findings.js";

/** Less room than this fills up with the first steps. In bytes. */
const LEAST_FREE_BYTES = 256 * 1_024 * 1_024;
const MIB = 1_024 * 1_024;

/** Tries out how steps can be kept apart here, in a folder of its own: a runner may be at work beside us. */
export async function checkIsolation({ isolation, leaseTtlMs }: RunnerConfig): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "maia-doctor-"));
  try {
    await using executor = await openLocalExecutor({
      root,
      ledgerId: "doctor",
      isolation,
      keep: () => Promise.reject(new Error("nothing is run here")),
      poolSize: 0,
      leaseTtlMs,
      log: () => {},
    });
    const { level, missing, warnings } = executor.report;
    const refused = missing.find((one) => one.level === level);
    if (refused)
      throw new Trouble(
        `isolation ${level} cannot be had here: ${refused.reason}`,
        "Set MAIA_ISOLATION=auto for the best that this host has, or install what is missing (bubblewrap), and allow user namespaces",
      );
    const lacking = missing.map((one) => `${one.level} cannot be had (${one.reason})`);
    return [`steps run with isolation ${level}`, ...lacking, ...warnings].join("; ");
  } catch (error) {
    if (error instanceof Trouble) throw error;
    throw new Trouble(`steps cannot be run here: ${(error as Error).message}`, "See what this host lacks to run them", {
      cause: error,
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Sees whether the data directory can be written to and has room. */
export async function checkDisk({ dataDir }: RunnerConfig): Promise<string> {
  const probe = join(dataDir, `doctor-${process.pid}`);
  try {
    await makeFolder(dataDir, 0o711);
    await writeFile(probe, "", { mode: 0o600 });
    await rm(probe);
  } catch (error) {
    throw new Trouble(
      `the data directory ${dataDir} cannot be written to (${(error as NodeJS.ErrnoException).code})`,
      "Give its folder to the account of the runner, or set MAIA_RUNNER_DATA_DIR to another",
      { cause: error },
    );
  }
  const { bavail, bsize, ffree, files } = await statfs(dataDir);
  const freeBytes = bavail * bsize;
  const fix = "Make room on the disk, or set MAIA_RUNNER_DATA_DIR to a folder on a larger one";
  if (freeBytes < LEAST_FREE_BYTES)
    throw new Trouble(`only ${Math.floor(freeBytes / MIB)} MiB are free for the data directory ${dataDir}`, fix);
  if (files > 0 && ffree === 0) throw new Trouble(`no file can be made any more in ${dataDir} (no inodes left)`, fix);
  return `${Math.floor(freeBytes / MIB)} MiB are free in ${dataDir}`;
}
