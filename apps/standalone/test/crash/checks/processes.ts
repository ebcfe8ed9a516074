import { readdir, readFile } from "node:fs/promises";
import { eventually } from "../../support/processes.ts";
import type { Trial } from "../trial.ts";

const GONE_MS = 5_000;

/** Kills everything at once while a step runs, and looks for processes that are left 5 s later (G17). */
export async function checkOrphans(trial: Trial, mark: string): Promise<void> {
  const { client, maia, stepEnv: env } = trial;
  const steps = [{ key: "sleep", runtime: "shell" as const, script: "sleep 1000" }];
  await client.apply({ name: "sleeper", env, steps });
  const { id } = await client.submit("sleeper");
  await eventually("a step sleeps", async () => (await marked(mark)).includes("sleep"));
  await client.call("POST", `/v1/jobs/${id}/cancel`, {}); // so that nobody has it sleep again
  for (const part of maia.processes.values()) part.signal("SIGKILL");
  await checkNoneLeft(trial, mark, "their supervisor");
}

/** No process of Maia or of a step is left 5 s after the parts have ended. */
export async function checkNoneLeft(trial: Trial, mark: string, survived: string): Promise<void> {
  await Promise.all([...trial.maia.processes.values()].map((part) => part.ended()));
  const marks = [mark, trial.maia.dataDir, trial.maia.runnerDir ?? trial.maia.dataDir];
  const none = async () => (await marked(...marks)).length === 0;
  await eventually(`no process outlives ${survived}`, none, GONE_MS).catch(async () => {
    trial.violate(`G17 processes ${await marked(...marks)} outlived ${survived}`);
  });
}

/** The names of processes that have one of the marks in their environment or, as helpers have, on their command line. */
async function marked(...marks: readonly string[]): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const files = [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`];
      const told = await Promise.all(files.map((file) => readFile(file, "latin1").catch(() => ""))); // it ended meanwhile
      if (!marks.some((mark) => told.some((text) => text.includes(mark)))) return null;
      return (await readFile(`/proc/${pid}/comm`, "latin1").catch(() => "ended")).trim();
    }),
  );
  return found.filter((name) => name !== null);
}
