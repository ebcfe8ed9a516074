import type { ExitFrame, Task } from "@maia/runner-protocol";
import type { AttemptStream } from "./attempt-stream.js";
import { collectArtifacts } from "./collect/artifacts.js";
import { type Output, readOutput, readStepError, type StepError } from "./collect/output.js";
import type { EndMessage } from "./messages.js";
import type { KeepBytes } from "./options.js";
import type { Slot } from "./slot-folders.js";

type Exit = Omit<ExitFrame, "type" | "lastSeq">;

/** Keeps what the attempt left in its slot, artifact by artifact, with a line for each file that is refused. */
export async function keepArtifacts(
  task: Task,
  slot: Slot,
  stream: AttemptStream,
  keep: KeepBytes,
  signal: AbortSignal,
): Promise<void> {
  const refuse = (line: string): void => stream.log("system", new Date(), [line], 0);
  const found = [];
  const keepOf = (bytes: () => AsyncIterable<Uint8Array>) => keep(bytes, task);
  for await (const artifact of collectArtifacts({ ...slot, limits: task.limits, keep: keepOf, refuse, signal }))
    found.push(artifact);
  stream.append(found.map((artifact) => ({ type: "artifact", ...artifact }) as const));
}

/** Ends the attempt's frames: what the log's limit has cut, the output, and the exit. */
export function endAttempt(
  stream: AttemptStream,
  end: EndMessage,
  output: Output | null,
  told: StepError | null,
): void {
  const { droppedLines, droppedBytes } = end;
  if (droppedLines > 0) stream.append([{ type: "truncated", lines: droppedLines, bytes: droppedBytes }]);
  if (output && "data" in output) stream.append([{ type: "output", data: output.data }]);
  stream.end(exitOf(end, output, told));
}

function exitOf(end: EndMessage, output: Output | null, told: StepError | null): Exit {
  const { exitCode, signal, reason } = end;
  if (told?.code === "OUT_OF_MEMORY" && reason === "exited")
    return { exitCode, signal, reason: "oom", error: { message: told.message } };
  const invalid = output && "invalid" in output ? { code: "OUTPUT_INVALID", message: output.invalid } : null;
  return {
    exitCode,
    signal,
    reason,
    error: invalid ?? toldOf(told) ?? (end.message ? { message: end.message } : null),
  };
}

function toldOf(told: StepError | null): ExitFrame["error"] {
  if (!told) return null;
  return told.code === "OUTPUT_INVALID" ? { code: told.code, message: told.message } : { message: told.message };
}

/** What a process that ended by itself gives back and tells; nothing when it was ended. */
export function readResult(task: Task, slot: Slot, end: EndMessage): { output: Output | null; told: StepError | null } {
  if (end.reason !== "exited") return { output: null, told: null };
  if (end.exitCode === 0) return { output: outputOf(task, slot), told: null };
  return { output: null, told: readStepError(slot.host) };
}

/** A script may leave no output. A function has always left one by the time that its process ends in peace. */
function outputOf({ runtime, limits }: Task, slot: Slot): Output {
  const output = readOutput(slot.host, limits.outputMax);
  return output ?? (runtime === "shell" ? { data: {} } : { invalid: ENDED_EARLY });
}

const ENDED_EARLY = "the step ended its process with exit code 0 before its function returned; return from it instead";

/** The end of an attempt of which nothing more is known. */
export function endUnknown(stream: AttemptStream, reason: ExitFrame["reason"], message: string): void {
  stream.end({ exitCode: null, signal: null, reason, error: { message } });
}
