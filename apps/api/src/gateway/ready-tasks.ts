import { type BoundAttempt, readDepsLock, type Sql } from "@maia/db";
import { depsHash, hasDependencies } from "@maia/domain";
import { type FindContent, MAX_INLINE_BYTES, type Task, type TaskDeps, withInline } from "@maia/runner-protocol";
import { buildTask, inputText, type LoadedVersion, TaskError } from "@maia/tasks";
import type { ApiContext } from "../context.js";
import { endHere } from "./hand-over.js";

/**
 * The tasks of attempts that were handed over, with their secrets: they are made for this one answer and kept nowhere. An
 * attempt whose task cannot be built ends here; the others of the answer go on.
 */
export async function readyTasks(context: ApiContext, attempts: readonly BoundAttempt[]): Promise<object[]> {
  const tasks: object[] = [];
  for (const attempt of attempts) {
    try {
      tasks.push(await readyTask(context, attempt));
    } catch (error) {
      if (error instanceof TaskError) await spawnFailed(context, attempt, error);
      else context.logger.error("a task could not be built", { attemptId: attempt.ref.id, error }); // the next poll tries again
    }
  }
  return tasks;
}

async function readyTask({ db, gateway }: ApiContext, { ref, run, token }: BoundAttempt): Promise<object> {
  const version = await gateway.snapshots.load(run.versionId);
  const step = version.snapshot.steps.find(({ key }) => key === ref.stepKey);
  const input = await inputText(db, run.id, ref.stepKey, ref.no, step?.deps ?? []);
  const deps = await pinnedDeps(db.sql, run.versionId, version);
  const { task, find } = await buildTask(gateway.sources, run, version, { ref, token, input, deps }, gateway.rules);
  return withInline(task, inlineOf(task, find));
}

async function pinnedDeps(
  sql: Sql,
  versionId: string,
  { snapshot: { dependencies } }: LoadedVersion,
): Promise<TaskDeps | null> {
  if (!hasDependencies(dependencies)) return null;
  const lock = await readDepsLock(sql, versionId);
  if (lock === null) throw new TaskError("the packages of the version are not pinned");
  return { ...dependencies, lock, hash: depsHash(dependencies, lock) };
}

/** Small content goes along, so that it need not be asked for. */
function inlineOf({ script, input }: Task, find: FindContent): ReadonlyMap<string, Uint8Array> {
  const inline = new Map<string, Uint8Array>();
  for (const { sha256 } of [script, input]) {
    const content = find(sha256);
    if (content && "bytes" in content && content.bytes.length <= MAX_INLINE_BYTES) inline.set(sha256, content.bytes);
  }
  return inline;
}

function spawnFailed({ db, clock }: ApiContext, attempt: BoundAttempt, { message }: TaskError): Promise<void> {
  const failure = { code: "STEP_SPAWN_FAILED", message } as const;
  return db.write((tx) => endHere(tx, attempt, { move: "fail", failure }, clock()));
}
