import type { Failure, Run } from "../api-types.js";
import { cut, plain } from "./format.js";
import type { Terminal } from "./terminal.js";

const LINE_COLUMNS = 160;

/** Prints why a run has failed: what failed first, what it said last, and what became of the other steps. */
export function printFailure(terminal: Terminal, { code, message, cause }: Failure, steps: Run["steps"]): void {
  terminal.print(`  ${code}: ${plain(message)}`);
  if (!cause) return;
  const { stepKey, attemptNo, attempts, exitCode, signal, lines = [], name, url } = cause;
  if (cause.kind === "file") {
    terminal.print(`  first: the input file ${plain(name ?? "")}${url ? ` from ${plain(url)}` : ""}`);
  } else {
    const end = signal ? `, ended by ${signal}` : typeof exitCode === "number" ? `, exit code ${exitCode}` : "";
    terminal.print(`  first: step ${stepKey}, attempt ${attemptNo} of ${attempts}${end}`);
    for (const { line } of lines) terminal.print(terminal.paint("dim", `    | ${cut(plain(line), LINE_COLUMNS)}`));
  }
  const rest = consequences(steps);
  if (rest !== "") terminal.print(`  then: ${rest}`);
}

function consequences(steps: Run["steps"]): string {
  const count = (status: string) => steps.filter((step) => step.status === status).length;
  const said = [
    [count("FAILED") - 1, "failed too"],
    [count("CANCELED"), "stopped"],
    [count("SKIPPED"), "never started"],
  ] as const;
  return said.flatMap(([n, what]) => (n > 0 ? [`${n} ${n === 1 ? "step" : "steps"} ${what}`] : [])).join(", ");
}
