import { depsHash } from "@maia/domain";
import { ExecutorError, type ExitFrame, type Task, type TaskDeps } from "@maia/runner-protocol";
import type { AttemptStream } from "../attempt-stream.js";
import type { Attempt, AttemptRun } from "../attempts.js";
import { endUnknown } from "../finish.js";
import type { KeepBytes } from "../options.js";
import type { Session } from "../session.js";
import { type Depot, dependenciesOf } from "./depot.js";
import { InstallError } from "./install.js";
import type { SetInUse } from "./store.js";

/** @throws {ExecutorError} REFUSED for packages that are not what their hash says, or that nobody has resolved yet. */
export function checkDeps({ kind, deps }: Task, depot: Depot | null): void {
  if (deps === null) return;
  if (!depot) throw new ExecutorError("REFUSED", "this executor has no place for packages");
  if (kind === "step" && deps.lock === null)
    throw new ExecutorError("REFUSED", "the packages of a step must have been resolved by a task of kind deps");
  if (depsHash(dependenciesOf(deps), deps.lock) !== deps.hash)
    throw new ExecutorError("REFUSED", "deps.hash is not the hash of the dependency map and the lock");
}

/** Has a step's packages installed where they are not here yet, and then starts it. */
export function afterInstall(
  depot: Depot,
  session: Session,
  deps: TaskDeps,
  attempt: Attempt,
  start: (set: SetInUse) => AttemptRun | null,
): AttemptRun | null {
  const { stream } = attempt;
  const there = depot.use(session, deps);
  if (there) return started(there, attempt, start);
  const wanted = depot.want(session, deps, (lines) => tell(stream, lines));
  wanted.installed.then(
    ({ set }) => {
      if (stream.hasEnded) set.release();
      else attempt.run = started(set, attempt, start);
    },
    (error: Error) => endWithout(stream, error),
  );
  return { cancel: wanted.cancel, credit: () => undefined };
}

function started(set: SetInUse, attempt: Attempt, start: (set: SetInUse) => AttemptRun | null): AttemptRun | null {
  attempt.onOver = set.release;
  return start(set);
}

/** Carries out a task that only installs. Its artifact is the lock that was followed, its output the hash. */
export function runDeps(
  depot: Depot | null,
  session: Session,
  task: Task,
  { stream }: Attempt,
  keep: KeepBytes,
): AttemptRun | null {
  if (task.deps === null || depot === null) {
    tell(stream, ["nothing to install"]);
    stream.append([{ type: "output", data: {} }]);
    stream.end({ exitCode: 0, signal: null, reason: "exited", error: null });
    return null;
  }
  const wanted = depot.want(session, task.deps, (lines) => tell(stream, lines), task.timeoutMs);
  const finish = async (): Promise<void> => {
    const { set, hash, lock } = await wanted.installed;
    set.release();
    const kept = await keep(() => once(Buffer.from(lock)), task);
    stream.append([
      { type: "artifact", name: "lock.json", mime: "application/json", ...kept },
      { type: "output", data: { hash } },
    ]);
    stream.end({ exitCode: 0, signal: null, reason: "exited", error: null });
  };
  finish().catch((error: Error) => endWithout(stream, error));
  return { cancel: wanted.cancel, credit: () => undefined };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function tell(stream: AttemptStream, lines: readonly string[]): void {
  stream.log("system", new Date(), lines, 0);
}

/** Ends an attempt whose packages could not be had. */
function endWithout(stream: AttemptStream, error: Error): void {
  const kind = error instanceof InstallError ? error.kind : "lost";
  if (kind !== "failed") endUnknown(stream, kind, error.message);
  else stream.end({ exitCode: null, signal: null, ...installFailed(error.message) });
}

function installFailed(message: string): Pick<ExitFrame, "reason" | "error"> {
  return { reason: "spawn_failed", error: { code: "DEPS_INSTALL_FAILED", message } };
}
