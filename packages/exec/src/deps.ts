import type { Task } from "@maia/runner-protocol";
import type { AttemptStream } from "./attempt-stream.js";

/** Answers a task that installs dependencies: there are none to install here. */
export function runDeps(_task: Task, stream: AttemptStream): void {
  stream.log("system", new Date(), ["nothing to install"], 0);
  stream.append([{ type: "output", data: {} }]);
  stream.end({ exitCode: 0, signal: null, reason: "exited", error: null });
}
