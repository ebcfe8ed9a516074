import {
  endInstances,
  pauseRunner,
  type RunnerRow,
  requireRunner,
  resumeRunner,
  type Tx,
  tellRunnerStatus,
} from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { Call } from "../http/route.js";
import { requireUnmanaged } from "./find.js";
import { noted } from "./noted.js";

export const runnerCommands = ["PAUSE", "RESUME", "RESTART", "STOP"] as const;
export type RunnerCommandName = (typeof runnerCommands)[number];

/**
 * Has a runner pause, go on, restart or stop. A pause of a paused runner, and telling an instance again what it was told,
 * change nothing.
 * @throws {MaiaError} STATE_CONFLICT, RUNNER_MANAGED
 */
export async function commandRunner(call: Call, id: string, command: RunnerCommandName, note: string): Promise<void> {
  const { context, now } = call;
  const { pauseAutoResumeMs } = context.config.constants;
  await context.db.write(async (tx) => {
    const runner = await requireRunner(tx, id);
    if (await carryOut(tx, call, runner, command, note)) await noted(tx, call, id, { action: command, note });
    await tellRunnerStatus(tx, runner, pauseAutoResumeMs, now);
  });
}

/** @returns whether it has changed anything. */
async function carryOut(
  tx: Tx,
  call: Call,
  runner: RunnerRow,
  command: RunnerCommandName,
  note: string,
): Promise<boolean> {
  const { context, caller, now } = call;
  const { pauseAutoResumeMs } = context.config.constants;
  switch (command) {
    case "PAUSE":
      return pauseRunner(tx, runner, { by: caller.id, note }, pauseAutoResumeMs, now);
    case "RESUME":
      if (await resumeRunner(tx, runner, caller.id, pauseAutoResumeMs, now)) return true;
      throw new MaiaError("STATE_CONFLICT", `The runner ${runner.name} is not paused`);
    case "RESTART":
    case "STOP":
      requireUnmanaged(runner, "it starts and stops with Maia; PAUSE and RESUME are what it takes");
      return endAll(tx, runner, command, now);
  }
}

async function endAll(tx: Tx, { id, name }: RunnerRow, command: "RESTART" | "STOP", now: Date): Promise<boolean> {
  const { there, told } = await endInstances(tx, id, command, now);
  if (there > 0) return told > 0;
  throw new MaiaError(
    "STATE_CONFLICT",
    `The runner ${name} has no instance that has not stopped, so there is nothing to ${command.toLowerCase()}`,
  );
}
