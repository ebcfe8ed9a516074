import { cut, duration, plain } from "../output/format.js";
import { isEnded, lookOf } from "../output/status.js";
import type { Terminal } from "../output/terminal.js";
import type { RunView, StepView } from "./run-view.js";

type Canvas = Pick<Terminal, "columns" | "rows" | "paint">;

interface Branch {
  readonly step: StepView;
  readonly depth: number;
}

/** How deep the tree indents; a chain of steps goes on straight below that. */
const MAX_DEPTH = 8;
const NAME_COLUMNS = 24;

/** The run as lines: the steps as a tree, and beneath each running one the last line that it wrote. */
export function renderTree(view: RunView, canvas: Canvas, now: Date): string[] {
  const blocks = branches(view).map((branch) => ({
    status: branch.step.status,
    lines: renderStep(branch, canvas, now),
  }));
  const room = Math.max(3, canvas.rows - 3);
  return [renderHead(view, canvas, now), ...fold(blocks, room, canvas)];
}

function renderHead(view: RunView, { paint, columns }: Canvas, now: Date): string {
  const { icon, style } = lookOf(view.status);
  const steps = [...view.steps.values()];
  const done = steps.filter(({ status }) => isEnded(status)).length;
  const end = view.finishedAt === null ? now.getTime() : Date.parse(view.finishedAt);
  const title = `${view.workflow} v${view.version}`;
  const rest = `  ${done}/${steps.length}  ${duration(end - Date.parse(view.startedAt))}  ${view.id}`;
  return `${paint(style, icon)} ${paint("bold", title)}${paint("dim", cut(rest, Math.max(0, columns - title.length - 3)))}`;
}

function renderStep({ step, depth }: Branch, { paint, columns }: Canvas, now: Date): string[] {
  const isWaiting = step.nextAttemptAt !== null && !isEnded(step.status);
  const { icon, style } = lookOf(isWaiting ? "WAITING" : step.status);
  const indent = " ".repeat(2 * Math.min(depth, MAX_DEPTH) + 2);
  const facts = [
    isWaiting ? waitingFor(step, now) : step.status,
    step.isReused ? "reused" : elapsed(step, now),
    step.attemptNo > 1 ? `attempt ${step.attemptNo}` : "",
  ];
  const failure = step.failure && step.status === "FAILED" ? plain(step.failure.message) : "";
  const name = step.key.padEnd(Math.max(0, NAME_COLUMNS - indent.length));
  const rest = cut(
    ["", ...facts, failure].filter((fact, at) => at === 0 || fact).join("  "),
    columns - indent.length - name.length - 3,
  );
  const line = `${indent}${paint(style, icon)} ${step.status === "PENDING" ? paint("dim", name) : name}${paint("dim", rest)}`;
  const showsLog = step.lastLine !== "" && (step.status === "RUNNING" || step.status === "FAILED");
  return showsLog
    ? [line, paint("dim", `${indent}  ${cut(plain(step.lastLine), columns - indent.length - 3)}`)]
    : [line];
}

function waitingFor({ nextAttemptAt, attemptNo }: StepView, now: Date): string {
  const left = Date.parse(nextAttemptAt ?? "") - now.getTime();
  return `attempt ${attemptNo} failed, next ${left > 0 ? `in ${duration(left)}` : "soon"}`;
}

function elapsed({ startedAt, finishedAt }: StepView, now: Date): string {
  if (startedAt === null) return "";
  return duration((finishedAt === null ? now.getTime() : Date.parse(finishedAt)) - Date.parse(startedAt));
}

/** Each step beneath the last of its deps, in the order of the workflow; every step stands once. */
function branches(view: RunView): Branch[] {
  const children = Map.groupBy(view.steps.values(), ({ deps }) => deepest(view, deps));
  const found: Branch[] = [];
  const walk = (parent: string | null, depth: number) => {
    for (const step of children.get(parent) ?? []) {
      found.push({ step, depth });
      walk(step.key, depth + 1);
    }
  };
  walk(null, 0);
  return found;
}

function deepest(view: RunView, deps: readonly string[]): string | null {
  return deps.findLast((key) => view.steps.has(key)) ?? null;
}

interface Block {
  readonly status: string;
  readonly lines: readonly string[];
}

/** Leaves out what matters least where the window is too low: first what is done or pending, and says how much. */
function fold(blocks: readonly Block[], room: number, { paint }: Canvas): string[] {
  const all = blocks.flatMap(({ lines }) => lines);
  if (all.length <= room) return all;
  const kept = blocks.filter(({ status }) => ["RUNNING", "FAILED"].includes(status)).flatMap(({ lines }) => lines);
  const shown = kept.slice(0, room - 1);
  const counts = Map.groupBy(blocks, ({ status }) => status);
  const summary = [...counts].map(([status, { length }]) => `${length} ${status}`).join(", ");
  return [...shown, paint("dim", `  … ${summary}`)];
}
