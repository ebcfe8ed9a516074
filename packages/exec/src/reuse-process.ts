import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isMaiaError, parseJsonStrictly } from "@maia/domain";
import { outputProblem, type Task } from "@maia/runner-protocol";
import type { AttemptRun } from "./attempts.js";
import { withOwnExitCode } from "./collect/exit-code.js";
import { checkStepError, DEEPEST, type Output, type StepError } from "./collect/output.js";
import { userEnvironment, withPrograms } from "./environment.js";
import { type Found, fillFiles, fillScript, inputForStep, readText } from "./fill.js";
import { endAttempt, endUnknown, keepArtifacts, readResult } from "./finish.js";
import { goMessage, type Work } from "./fresh-run.js";
import { reuseHandover, type ScriptFile } from "./handover.js";
import type { EndMessage } from "./messages.js";
import type { KeepBytes } from "./options.js";
import { linkPackages, type Packages } from "./packages.js";
import type { Session, SlotMessage, SlotUser } from "./session.js";
import type { Slot } from "./slot-folders.js";

const VANISHED = "the process that was to carry it out has ended";

/** An attempt that a reused process carries out, or that waits for one. */
export type ReuseAttempt = Work;

export interface ReuseEvents {
  /** The process can take another attempt. */
  readonly onFree: (process: ReuseProcess) => void;
  readonly onGone: (process: ReuseProcess) => void;
}

/** A process that serves attempts of one key one after another. */
export class ReuseProcess implements SlotUser {
  private readonly slot: Slot;
  private readonly scripts = new Map<string, ScriptFile>();
  private current: ReuseAttempt | null = null;
  private toldEnvironment: string | null = null;
  /** All attempts of a process are of one version, which has one set. */
  private packages: Packages | null = null;
  private hasFiles = false;
  private served = 0;
  private startedAt: number | null = null;
  private idle: NodeJS.Timeout | null = null;
  private isGone = false;
  /** It was told to end: a kill that is on its way must not meet the next attempt. */
  private isToEnd = false;
  private collecting = new AbortController();
  private isHandedOver = false;
  private pid: number | null;

  constructor(
    private readonly session: Session,
    slot: Slot,
    private readonly keep: KeepBytes,
    private readonly limits: { readonly idleMs: number; readonly attempts: number },
    private readonly events: ReuseEvents,
  ) {
    // The process writes its input itself, in place, which is cheaper than a file for each attempt.
    this.slot = { ...slot, seen: { ...slot.seen, input: `${slot.seen.work}/.maia/input.json` } };
    this.pid = slot.pid;
    session.use(slot, this);
  }

  get isFree(): boolean {
    return this.current === null && !this.isGone;
  }

  /** How long the attempt at hand has been carried out, in milliseconds; 0 while the process is not up yet. */
  get busyMs(): number {
    return this.startedAt === null ? 0 : performance.now() - this.startedAt;
  }

  isServing(attempt: ReuseAttempt): boolean {
    return this.current === attempt;
  }

  /** Carries out an attempt. */
  take(attempt: ReuseAttempt): void {
    if (this.idle) clearTimeout(this.idle);
    this.idle = null;
    this.current = attempt;
    this.startedAt = null;
    this.isHandedOver = false;
    this.collecting = new AbortController();
    try {
      const { task, found, set } = attempt;
      const pending: Promise<unknown>[] = [];
      const script = this.script(task, found, pending);
      if (task.files.length > 0) {
        this.hasFiles = true;
        pending.push(...fillFiles(task, found, this.slot.host.run, this.session.rules));
      }
      this.packages ??= linkPackages(this.session, this.slot, set);
      const body = this.body(task, found, script);
      if (pending.length === 0) this.handOver(task, body);
      else
        Promise.all(pending).then(
          () => this.handOver(task, body),
          (error: Error) => this.fail(error),
        );
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** What the executor can do about the attempt that this process carries out. */
  control(attempt: ReuseAttempt): AttemptRun {
    const ifCurrent = (act: (slot: string) => void): void => {
      if (this.current === attempt) act(this.slot.id);
    };
    return {
      cancel: (mode) =>
        ifCurrent((slot) => {
          this.collecting.abort();
          this.isToEnd = true;
          this.session.send({ t: "kill", slot, mode });
        }),
      credit: (bytes) => ifCurrent((slot) => this.session.send({ t: "credit", slot, bytes })),
    };
  }

  hear(message: SlotMessage): void {
    const stream = this.current?.stream;
    if (message.t === "born") this.pid = message.pid;
    if (message.t === "born") this.tellStarted();
    else if (message.t === "log") stream?.log(message.stream, new Date(message.at), message.lines, message.bytes);
    else if (message.t === "end") void this.ended(message);
    // A process that had its attempt handed over is answered for by the helper, with an end.
    else if (message.t === "gone" && !(this.current && this.isHandedOver)) this.vanish(message.message);
  }

  lose(): void {
    this.isGone = true;
    if (this.current) endUnknown(this.current.stream, "lost", "the process that supervises steps has died");
    this.events.onGone(this);
  }

  /** Ends the process; its attempt, if it has one, must have ended. */
  leave(): void {
    if (this.isGone) return;
    this.isGone = true;
    if (this.idle) clearTimeout(this.idle);
    this.session.release(this.slot);
    this.events.onGone(this);
  }

  private script(task: Task, found: Found, pending: Promise<unknown>[]): ScriptFile {
    const { sha256 } = task.script;
    const known = this.scripts.get(sha256);
    if (known) return known;
    const { host, seen } = this.slot;
    const filled = fillScript(task, found, host.run, seen.run, `script-${sha256.slice(0, 16)}`, this.session.rules);
    if (filled.pending) pending.push(filled.pending);
    this.scripts.set(sha256, filled.script);
    return filled.script;
  }

  private body(task: Task, found: Found, script: ScriptFile): string {
    const { packages } = this;
    const { seen } = this.slot;
    const input = inputForStep(readText(found.get(task.input.sha256)!), seen.run);
    const env = userEnvironment(task, withPrograms(this.session.environment, packages));
    const told = JSON.stringify(env);
    const isNew = told !== this.toldEnvironment;
    this.toldEnvironment = told;
    return reuseHandover(task, script, input, isNew ? { env, view: seen, packages } : null);
  }

  private handOver(task: Task, body: string): void {
    this.session.send(goMessage(task, this.slot, body, true));
    this.isHandedOver = true;
    this.tellStarted();
  }

  /** The attempt has started when it is handed to a process that waits for it. */
  private tellStarted(): void {
    if (this.pid === null || !this.isHandedOver) return;
    this.startedAt = performance.now();
    this.current?.stream.started(this.pid, this.session.ready.report.level, true);
  }

  private fail(error: Error): void {
    const { current } = this;
    this.current = null;
    if (current) endUnknown(current.stream, "spawn_failed", error.message);
    this.leave();
  }

  /** The process ended between two attempts. Whoever was about to be handed over is lost by no fault of its own. */
  private vanish(message: string | null): void {
    const { current } = this;
    this.current = null;
    if (current) endUnknown(current.stream, this.served > 0 ? "lost" : "spawn_failed", message ?? VANISHED);
    this.leave();
  }

  private async ended(end: EndMessage): Promise<void> {
    const { current } = this;
    if (!current) return;
    this.served++;
    try {
      if (end.alive) await this.answered(current, end);
      else await this.died(current, end);
    } catch (error) {
      if (this.collecting.signal.aborted) endUnknown(current.stream, "canceled", "canceled while its files were kept");
      else endUnknown(current.stream, "lost", `what the step left could not be kept: ${(error as Error).message}`);
      this.leave();
    }
    this.current = null;
    this.startedAt = null;
    if (this.isGone) return;
    if (!end.alive || this.isToEnd || this.served >= this.limits.attempts) this.leave();
    else this.becomeFree();
  }

  private becomeFree(): void {
    this.idle = setTimeout(() => this.leave(), this.limits.idleMs);
    this.idle.unref();
    this.events.onFree(this);
  }

  private async answered({ task, stream }: ReuseAttempt, end: EndMessage): Promise<void> {
    const { output, told, isDirty } = readAnswer(end.answer ?? "", task.limits.outputMax);
    if (isDirty) await keepArtifacts(task, this.slot, stream, this.keep, this.collecting.signal);
    // A failed attempt is told from a good one by the code that a process of its own would have had.
    endAttempt(stream, { ...end, exitCode: output && "data" in output ? 0 : 1 }, output, told);
    if (isDirty || this.hasFiles) await this.clean();
  }

  private async died({ task, stream }: ReuseAttempt, last: EndMessage): Promise<void> {
    const end = withOwnExitCode(last, this.slot.host);
    const { output, told } = readResult(task, this.slot, end);
    if (end.reason === "spawn_failed" && this.served > 1) return endUnknown(stream, "lost", end.message ?? VANISHED);
    if (end.reason !== "spawn_failed" && end.reason !== "lost")
      await keepArtifacts(task, this.slot, stream, this.keep, this.collecting.signal);
    endAttempt(stream, end, output, told);
  }

  /** Makes the slot as empty as the first attempt found it. */
  private async clean(): Promise<void> {
    const { host } = this.slot;
    const scripts = [...this.scripts.values()].flatMap(({ path, typedPath }) => [path, typedPath ?? path]);
    const kept = new Set([...scripts.map((path) => path.slice(path.lastIndexOf("/") + 1)), ".maia", "artifacts"]);
    const left = [...inside(host.run, new Set([...kept, "node_modules"])), ...inside(host.work, kept)];
    left.push(...inside(host.artifacts, new Set()), ...inside(`${host.work}/.maia`, new Set(["input.json"])));
    this.hasFiles = false;
    await Promise.all(left.map((path) => rm(path, { recursive: true, force: true })));
  }
}

function inside(folder: string, kept: ReadonlySet<string>): string[] {
  return readdirSync(folder).flatMap((name) => (kept.has(name) ? [] : `${folder}/${name}`));
}

interface Answer {
  readonly output: Output | null;
  readonly told: StepError | null;
  readonly isDirty: boolean;
}

/** What a reused process says of its attempt. It is the step's own process: nothing in it is taken on trust. */
function readAnswer(text: string, outputMax: number): Answer {
  try {
    // Only long numbers can fail to survive; looking closer at every answer would cost more than most steps do.
    const answer: unknown = /\d{16}/.test(text) ? parseJsonStrictly(text, DEEPEST, "the output") : JSON.parse(text);
    const { ok, data, error, dirty } = answer as Record<string, unknown>;
    const isDirty = dirty !== false;
    if (ok !== true) return { output: null, told: checkStepError(error), isDirty };
    if (data === null || data === undefined) return { output: { data: {} }, told: null, isDirty };
    const problem = outputProblem(data);
    if (problem !== null) return { output: { invalid: `the output ${problem}` }, told: null, isDirty };
    if (text.length > outputMax / 4 && Buffer.byteLength(JSON.stringify(data)) > outputMax) {
      return { output: { invalid: `the output is larger than ${outputMax} bytes` }, told: null, isDirty };
    }
    return { output: { data: data as { [key: string]: unknown } }, told: null, isDirty };
  } catch (error) {
    const message = isMaiaError(error) ? error.message : `the process gave no answer: ${(error as Error).message}`;
    return {
      output: { invalid: message },
      told: null,
      isDirty: true,
    };
  }
}
