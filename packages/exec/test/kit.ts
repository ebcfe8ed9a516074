import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ArtifactFrame,
  Content,
  ExitFrame,
  FindContent,
  Frame,
  IsolationLevel,
  LogFrame,
  Task,
  TaskLimits,
} from "@maia/runner-protocol";
import { openLocalExecutor } from "../src/executor.js";
import type { DepsOptions, LocalExecutor, LocalExecutorOptions } from "../src/options.js";
import { childrenOf } from "../src/processes.js";

export const LIMITS: TaskLimits = {
  logLineMax: 65_536,
  logAttemptMax: 64 * 1024 * 1024,
  outputMax: 524_288,
  artifactsMax: 1_000,
  artifactMax: 64 * 1024 * 1024,
  memoryBytes: null,
  processes: null,
};

/** Where the packages of an executor under test go. No registry: a test that installs names its own. */
export function aDepot(root: string, changes: Partial<DepsOptions> = {}): DepsOptions {
  const nowhere = "http://127.0.0.1:9/";
  const limits = { timeoutMs: 60_000, cacheBytes: 1024 ** 3 };
  return { root, npmRegistry: nowhere, pythonIndex: nowhere, ...limits, ...changes };
}

type Runtime = Task["runtime"];
type Changes = Partial<Omit<Task, "limits" | "files">> & {
  readonly limits?: Partial<TaskLimits>;
  readonly files?: Readonly<Record<string, string>>;
  readonly initialInput?: object;
  readonly upstream?: object;
};

let count = 0;

/** An executor in a folder of its own, with the content that its tasks name and the artifacts that they leave. */
export class Workshop implements AsyncDisposable {
  readonly kept = new Map<string, Buffer>();
  readonly notes: string[] = [];
  private readonly contents = new Map<string, Content>();

  private constructor(
    readonly root: string,
    readonly executor: LocalExecutor,
    private readonly isOwnRoot: boolean,
  ) {}

  static async open(
    isolation: "auto" | IsolationLevel = "auto",
    options: Partial<LocalExecutorOptions> = {},
    deps: Partial<DepsOptions> = {},
  ): Promise<Workshop> {
    const root = options.root ?? mkdtempSync(join(tmpdir(), "maia-exec-"));
    const notes: string[] = [];
    const kept = new Map<string, Buffer>();
    const executor = await openLocalExecutor({
      root,
      ledgerId: "ledger",
      isolation,
      poolSize: 0,
      deps: aDepot(`${root}-deps`, deps),
      leaseTtlMs: 15_000,
      keep: (bytes) => keepIn(kept, bytes()),
      log: (_level, message, fields) => notes.push(`${message} ${JSON.stringify(fields ?? {})}`),
      ...options,
    });
    const workshop = new Workshop(root, executor, options.root === undefined);
    return Object.assign(workshop, { kept, notes });
  }

  /** Where its sets of packages lie. */
  get depsRoot(): string {
    return `${this.root}-deps`;
  }

  /** The helper process. */
  helpers(): number[] {
    return childrenOf(process.pid).filter((pid) => commandLine(pid).includes("helper/main.js"));
  }

  /** Processes of the executor's slots, as the host sees them. */
  slotProcesses(): number[] {
    return readdirSync(this.root).flatMap((instance) => processesMarked(`/${instance}-`));
  }

  readonly find: FindContent = (sha256) => this.contents.get(sha256) ?? null;

  /** Makes content known and names it. */
  put(text: string | Buffer, path?: string): { sha256: string; sizeBytes: number } {
    const bytes = Buffer.from(text as string);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    this.contents.set(sha256, path ? { path } : { bytes });
    return { sha256, sizeBytes: bytes.length };
  }

  task(runtime: Runtime, script: string, changes: Changes = {}): Task {
    const { initialInput = {}, upstream = {}, files = {}, limits, ...rest } = changes;
    const number = count++;
    const input = { runId: "run_1", stepKey: "step", attemptNo: 1, initialInput, upstream };
    return {
      attemptId: `att_${process.pid}_${number}`,
      epoch: 1,
      token: "token",
      kind: "step",
      runId: "run_1",
      stepKey: "step",
      attemptNo: 1,
      workflowId: "wf_1",
      runtime,
      script: this.put(script),
      input: this.put(JSON.stringify(input)),
      files: Object.entries(files).map(([path, text]) => ({ path, ...this.put(text) })),
      env: {},
      secrets: {},
      deps: null,
      reuseKey: null,
      transaction: null,
      timeoutMs: 60_000,
      graceMs: 2_000,
      reconnectWindowMs: 60_000,
      limits: { ...LIMITS, ...limits },
      isolation: null,
      ...rest,
    };
  }

  /** Carries a task out and gives back what came of it. */
  async run(task: Task): Promise<Outcome> {
    const frames: Frame[] = [];
    for await (const batch of this.executor.start(task, this.find)) frames.push(...batch);
    return new Outcome(frames);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.executor[Symbol.asyncDispose]();
    const own = this.isOwnRoot ? [this.root, `${this.root}-deps`] : [];
    for (const folder of own) rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }
}

/** The frames of one attempt, by kind. */
export class Outcome {
  constructor(readonly frames: readonly Frame[]) {}

  get exit(): ExitFrame {
    const last = this.frames.at(-1);
    if (last?.type !== "exit") throw new Error(`no exit frame: ${JSON.stringify(this.frames.slice(-3))}`);
    return last;
  }

  get output(): Readonly<Record<string, unknown>> | null {
    return this.frames.find((frame) => frame.type === "output")?.data ?? null;
  }

  get artifacts(): readonly ArtifactFrame[] {
    return this.frames.filter((frame) => frame.type === "artifact");
  }

  lines(stream?: LogFrame["stream"]): string[] {
    return this.frames.flatMap((frame) =>
      frame.type === "log" && (stream === undefined || frame.stream === stream) ? frame.line : [],
    );
  }
}

async function keepIn(
  kept: Map<string, Buffer>,
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ sha256: string; sizeBytes: number }> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(Buffer.from(part));
  const all = Buffer.concat(parts);
  const sha256 = createHash("sha256").update(all).digest("hex");
  kept.set(sha256, all);
  return { sha256, sizeBytes: all.length };
}

const ALL_LEVELS: readonly IsolationLevel[] = ["sandbox", "pid-namespace", "process-group"];

/** The levels that this machine has. */
export async function levelsHere(): Promise<IsolationLevel[]> {
  const found: IsolationLevel[] = [];
  for (const level of ALL_LEVELS) {
    await using workshop = await Workshop.open(level);
    if (workshop.executor.report.missing.length === 0) found.push(level);
  }
  return found;
}

/** Processes whose command line holds a mark, as anybody on the machine sees them. */
export function processesMarked(mark: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && commandLine(pid).includes(mark));
}

/** The command line of a process; empty when it is gone or a zombie. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Waits until something holds. @throws {Error} when it does not in time. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<number> {
  const start = performance.now();
  while (!(await holds())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

/** A mark that no other process carries: a time to sleep. */
export function newMark(): string {
  return `600.${process.pid}${String(count++).padStart(4, "0")}${Math.random().toString().slice(2, 10)}1`;
}

/** A command that sleeps with a mark on its command line. */
export function sleepMarked(mark: string): string {
  return `sleep ${mark}`;
}
