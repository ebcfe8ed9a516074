import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DurableLog } from "./durable-log.js";
import { LedgerDamagedError, type LedgerLine, readSegment } from "./segment.js";

/** What is known of an attempt: accepted and not ended, its exit stored, or its outcome unknown for ever. */
export type AttemptState = "accepted" | "ended" | "lost";

export interface LedgerOptions {
  /** How long ids are remembered after the last line of their segment. In milliseconds. */
  readonly keepMs: number;
  readonly now: Date;
}

/** A segment is closed after so many lines, so that forgetting never means rewriting. */
const LINES_PER_SEGMENT = 20_000;
/** … or once its first line is this part of `keepMs` old. */
const SEGMENTS_PER_AGE = 8;

interface Segment {
  readonly no: number;
  lines: number;
  firstAt: number;
  lastAt: number;
  /** Attempts that were accepted here and have not ended. */
  open: number;
}

interface KnownRun {
  readonly epoch: number;
  /** The latest attempt of each step. */
  readonly latest: Map<string, number>;
  readonly segment: number;
}

/**
 * The memory of every attempt that was accepted, so that none is started twice (G6): lines in files that only grow, made
 * durable before a process is started. Whoever binds an attempt to `ledgerId` knows: unknown here is never started.
 */
export class Ledger {
  readonly #attempts = new Map<string, { state: AttemptState; segment: number }>();
  readonly #runs = new Map<string, KnownRun>();
  readonly #segments: Segment[] = [];
  #log: DurableLog | null = null;

  private constructor(
    private readonly dir: string,
    readonly ledgerId: string,
    private readonly keepMs: number,
  ) {}

  /**
   * Opens the ledger of a folder. One that is damaged is put aside and begun anew under another id: attempts bound to the
   * old one are lost, and none of them can start again.
   */
  static async open(dir: string, { keepMs, now }: LedgerOptions): Promise<{ ledger: Ledger; damaged: string | null }> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    try {
      const ledger = new Ledger(dir, await readOrMakeId(dir), keepMs);
      await ledger.#load(now);
      return { ledger, damaged: null };
    } catch (error) {
      if (!(error instanceof LedgerDamagedError)) throw error;
      const aside = `${dir}.damaged-${now.getTime()}`;
      await rename(dir, aside);
      const { ledger } = await Ledger.open(dir, { keepMs, now });
      return { ledger, damaged: aside };
    }
  }

  stateOf(attemptId: string): AttemptState | null {
    return this.#attempts.get(attemptId)?.state ?? null;
  }

  /** The highest epoch that was seen for a run; -1 for none. */
  epochOf(runId: string): number {
    return this.#runs.get(runId)?.epoch ?? -1;
  }

  /** The latest attempt of a step that was accepted; 0 for none. */
  latestOf(runId: string, stepKey: string): number {
    return this.#runs.get(runId)?.latest.get(stepKey) ?? 0;
  }

  /** Attempts that were accepted and have not ended. */
  accepted(): string[] {
    return [...this.#attempts].flatMap(([attemptId, { state }]) => (state === "accepted" ? [attemptId] : []));
  }

  /** Remembers an attempt. Only when this resolves may its process be started. */
  async accept(
    attemptId: string,
    runId: string,
    epoch: number,
    now: Date,
    step?: { readonly key: string; readonly no: number },
  ): Promise<void> {
    const which = step ? { s: step.key, n: step.no } : {};
    await this.#append({ k: "accepted", a: attemptId, r: runId, e: epoch, t: now.getTime(), ...which }, true);
  }

  /** Remembers that a run has a newer owner. */
  async raiseEpoch(runId: string, epoch: number, now: Date): Promise<void> {
    await this.#append({ k: "epoch", r: runId, e: epoch, t: now.getTime() }, true);
  }

  /** Remembers an attempt's end. A power cut may forget it; then the spool tells, or the attempt counts as lost. */
  async end(attemptId: string, state: "ended" | "lost", now: Date): Promise<void> {
    await this.#append({ k: state, a: attemptId, t: now.getTime() }, false);
  }

  /** Remembers the end of an attempt that never came, so that it never starts. */
  async refuse(attemptId: string, now: Date): Promise<void> {
    await this.#append({ k: "ended", a: attemptId, t: now.getTime() }, true);
  }

  /** Forgets segments whose last line is old enough and that hold no attempt that still runs. */
  async sweep(now: Date): Promise<void> {
    for (let oldest = this.#segments[0]; oldest && this.#segments.length > 1; oldest = this.#segments[0]) {
      if (oldest.open > 0 || now.getTime() - oldest.lastAt < this.keepMs) return;
      const { lines } = await readSegment(this.#path(oldest.no));
      await rm(this.#path(oldest.no));
      this.#segments.shift();
      for (const line of lines) this.#forget(line, oldest.no);
    }
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  async #load(now: Date): Promise<void> {
    const numbers = (await readdir(this.dir)).flatMap((name) => /^(\d{8})\.ndjson$/.exec(name)?.[1] ?? []).map(Number);
    let sizeBytes = 0;
    for (const no of numbers.sort((a, b) => a - b)) {
      const segment = await readSegment(this.#path(no));
      sizeBytes = segment.sizeBytes;
      this.#segments.push({ no, lines: 0, firstAt: now.getTime(), lastAt: 0, open: 0 });
      for (const line of segment.lines) this.#apply(line, this.#segments.at(-1)!);
    }
    const last = this.#segments.at(-1);
    if (last) this.#log = await DurableLog.open(this.#path(last.no), sizeBytes);
    else await this.#beginSegment(1);
  }

  async #append(line: LedgerLine, durable: boolean): Promise<void> {
    await this.#rotate(line.t);
    const segment = this.#segments.at(-1)!; // a line counts where it lies, although another segment begins meanwhile
    const applied = this.#log!.append(JSON.stringify(line), durable);
    if (!durable) this.#apply(line, segment);
    await applied;
    if (durable) this.#apply(line, segment);
  }

  #rotating: Promise<void> | null = null;

  async #rotate(now: number): Promise<void> {
    while (this.#rotating) await this.#rotating;
    const { lines, firstAt, no } = this.#segments.at(-1)!;
    if (lines === 0 || (lines < LINES_PER_SEGMENT && now - firstAt < this.keepMs / SEGMENTS_PER_AGE)) return;
    this.#rotating = this.#beginSegment(no + 1);
    try {
      await this.#rotating;
    } finally {
      this.#rotating = null;
    }
  }

  async #beginSegment(no: number): Promise<void> {
    const before = this.#log;
    this.#log = await DurableLog.open(this.#path(no));
    await syncFolder(this.dir);
    this.#segments.push({ no, lines: 0, firstAt: 0, lastAt: 0, open: 0 });
    await before?.close();
  }

  #apply(line: LedgerLine, segment: Segment): void {
    if (segment.lines++ === 0) segment.firstAt = line.t;
    segment.lastAt = Math.max(segment.lastAt, line.t);
    if (line.k === "accepted" || line.k === "epoch") {
      const latest = this.#runs.get(line.r)?.latest ?? new Map<string, number>();
      if (line.k === "accepted" && line.s !== undefined)
        latest.set(line.s, Math.max(line.n ?? 0, latest.get(line.s) ?? 0));
      this.#runs.set(line.r, { epoch: Math.max(line.e, this.epochOf(line.r)), latest, segment: segment.no });
    }
    if (line.k === "epoch") return;
    const known = this.#attempts.get(line.a);
    if (known?.state === "accepted" && line.k !== "accepted") this.#segmentOf(known.segment).open--;
    if (!known && line.k === "accepted") segment.open++;
    this.#attempts.set(line.a, { state: line.k, segment: segment.no });
  }

  #forget(line: LedgerLine, no: number): void {
    if ("a" in line && this.#attempts.get(line.a)?.segment === no) this.#attempts.delete(line.a);
    if ("r" in line && this.#runs.get(line.r)?.segment === no) this.#runs.delete(line.r);
  }

  #segmentOf(no: number): Segment {
    return this.#segments.find((segment) => segment.no === no)!;
  }

  #path(no: number): string {
    return join(this.dir, `${String(no).padStart(8, "0")}.ndjson`);
  }
}

async function readOrMakeId(dir: string): Promise<string> {
  const path = join(dir, "id");
  const known = await readFile(path, "utf8").catch(() => null);
  if (known !== null && /^led_[0-9a-f]{32}$/.test(known.trim())) return known.trim();
  if (known !== null || (await readdir(dir)).some((name) => name.endsWith(".ndjson")))
    throw new LedgerDamagedError(`${path} holds no id`);
  const id = `led_${randomBytes(16).toString("hex")}`;
  await writeFile(`${path}.new`, id, { flush: true, mode: 0o600 });
  await rename(`${path}.new`, path);
  await syncFolder(dir);
  return id;
}

/** A new or renamed file survives a power cut only after its folder is flushed. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
