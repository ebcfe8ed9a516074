import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Duplex } from "node:stream";
import type { EndReason, FromHelper, GoMessage } from "../messages.js";
import { AnswerLines } from "./answers.js";
import { HelperAttempt } from "./attempt.js";
import { type ExitStatus, exitStatus, judgeExit } from "./exit-status.js";
import { KillLadder } from "./kill-ladder.js";
import { kernelOutOfMemoryKills } from "./out-of-memory.js";
import { OutputPipes, type OutputStream } from "./output-pipes.js";
import type { PipePair } from "./pipes.js";
import { GroupTree, NamespaceTree } from "./tree.js";
import type { CommandLine, Wrapper } from "./wrappers.js";

/** Output of a process that has ended is read for so long and no longer. */
const DRAIN_MS = 2_000;
/** Whoever still holds the output so long after the end is no part of the step any more. */
const HELD_MS = 50;
const MOST_TROUBLE_CHARS = 2_000;
/** What a process says before any code of a step's runs: that it waits, and that it has got its attempt. */
const READY = "\u0006";
const GOT = "\u0007";

/** What a step's process is made from. */
export interface StepProcessSetup {
  readonly slot: string;
  readonly command: CommandLine;
  readonly wrapper: Wrapper;
  readonly pipes: PipePair;
  readonly environment: Record<string, string>;
  readonly send: (message: FromHelper) => void;
  /** The process and its tree have ended. */
  readonly onOver: () => void;
}

/** The process of one slot: waits, carries out one attempt or several, and ends with everything that it started. */
export class StepProcess {
  private readonly child: ChildProcess;
  private readonly control: Duplex;
  private readonly tree: NamespaceTree | GroupTree;
  private readonly ladder: KillLadder;
  private readonly output: OutputPipes;
  private readonly answers = new AnswerLines();
  private readonly memoryKillsBefore = kernelOutOfMemoryKills();
  private attempt: HelperAttempt | null = null;
  private isReady = false;
  private hasBegun = false;
  private ending: EndReason | null = null;
  private exit: ExitStatus | null = null;
  private isTreeGone = false;
  private isOver = false;
  private trouble = "";

  constructor(private readonly setup: StepProcessSetup) {
    const { command, pipes, environment, slot, wrapper } = setup;
    const { file, args, ...options } = command;
    this.child = spawn(file, args, {
      cwd: "/",
      ...options,
      env: environment,
      detached: true,
      stdio: ["ignore", pipes.stdout.write, pipes.stderr.write, "pipe"],
    });
    closeSync(pipes.stdout.write);
    closeSync(pipes.stderr.write);
    this.control = this.child.stdio[3] as Duplex;
    this.output = new OutputPipes(
      pipes,
      (stream, chunk) => this.print(stream, chunk),
      () => this.finishIfDone(),
    );
    const pid = this.child.pid ?? 0;
    this.tree = wrapper.tree === "namespace" ? new NamespaceTree(pid) : new GroupTree(pid, [`/${slot}/`]);
    this.ladder = new KillLadder(this.tree, (gone) => this.treeEnded(gone));
    this.child.on("error", (error) => this.neverStarted(error));
    this.child.on("exit", (code, signal) => this.exited(code, signal));
    this.control.on("data", (chunk: Buffer) => this.heard(chunk));
    this.control.on("error", () => undefined);
  }

  /** Hands over an attempt. */
  go(message: GoMessage): void {
    this.attempt = new HelperAttempt(message, this.setup.send, {
      onTimeout: () => this.end("timeout", "stop"),
      onPressure: (isHigh) => this.hold(isHigh),
    });
    this.answers.limit = message.answerMax;
    this.control.write(message.body);
    if (message.reuse) this.hasBegun = true;
    else this.control.end();
  }

  /** Ends the process, and whatever it started, before its time. */
  end(reason: EndReason, mode: "stop" | "kill"): void {
    if (this.exit) return;
    this.ending ??= reason;
    if (mode === "kill" || !this.attempt) this.ladder.kill();
    else this.ladder.stop(this.attempt.message.graceMs);
  }

  /** The executor has taken so many bytes of the log. */
  credit(bytes: number): void {
    this.attempt?.credit(bytes);
  }

  /** Stops or continues reading what the step prints. */
  hold(isHeld: boolean): void {
    if (!this.exit) this.output.hold(isHeld);
  }

  private print(stream: OutputStream, chunk: Buffer): void {
    this.attempt?.log.write(stream, chunk);
    if (!this.hasBegun && this.trouble.length < MOST_TROUBLE_CHARS) this.trouble += chunk.toString("utf8");
  }

  private heard(chunk: Buffer): void {
    for (const line of this.answers.push(chunk)) {
      if (line === null) this.end("exited", "kill");
      else if (!this.isReady) this.becameReady(line);
      else if (this.attempt?.message.reuse) this.answered(line);
      else if (line === GOT) this.gotAttempt();
    }
  }

  private becameReady(line: string): void {
    if (line !== READY) return;
    this.isReady = true;
    if (this.tree instanceof NamespaceTree) this.tree.findInit();
    this.setup.send({ t: "born", slot: this.setup.slot, pid: this.child.pid! });
  }

  private gotAttempt(): void {
    this.hasBegun = true;
    this.attempt?.begin(this.child.pid!);
  }

  /** A reused process is done with its attempt, and all that it printed meanwhile lies in its pipes. */
  private answered(answer: string): void {
    const { attempt } = this;
    if (!attempt || this.exit || this.ending) return;
    this.output.readWhatIsThere();
    this.attempt = null;
    this.hold(false);
    attempt.finish({ exitCode: 0, signal: null, reason: "exited", message: null, answer, alive: true });
  }

  private neverStarted(error: Error): void {
    if (this.child.pid !== undefined) return;
    this.trouble ||= error.message;
    this.exit = { exitCode: null, signal: null };
    this.isTreeGone = true;
    this.output.close();
    this.finishIfDone();
  }

  private exited(code: number | null, signal: string | null): void {
    this.exit = exitStatus(this.setup.wrapper.tree, code, signal);
    this.tree.rootExited();
    this.output.hold(false);
    if (this.ending || this.tree instanceof NamespaceTree || this.tree.killGroup()) this.ladder.kill();
    else this.isTreeGone = true;
    setTimeout(() => this.endHolders(), HELD_MS).unref();
    setTimeout(() => this.output.close(), DRAIN_MS).unref();
    this.finishIfDone();
  }

  private endHolders(): void {
    if (!this.output.areClosed) this.ladder.kill();
  }

  private treeEnded(gone: boolean): void {
    if (!gone) {
      const fields = { slot: this.setup.slot };
      this.setup.send({ t: "note", level: "error", message: "processes of a step outlive their kill", fields });
    }
    this.isTreeGone = true;
    this.finishIfDone();
  }

  private finishIfDone(): void {
    if (this.isOver || !this.exit || !this.isTreeGone || !this.output.areClosed) return;
    this.isOver = true;
    const { attempt, setup } = this;
    this.attempt = null;
    const message = this.hasBegun || this.ending ? null : this.trouble.trim() || "the process ended before it began";
    if (attempt) attempt.finish({ ...this.exit, reason: this.reason(attempt), message, answer: null, alive: false });
    else setup.send({ t: "gone", slot: setup.slot, message });
    setup.onOver();
  }

  private reason(attempt: HelperAttempt): EndReason {
    if (this.ending) return this.ending;
    if (!this.hasBegun) return "spawn_failed";
    const killsNow = kernelOutOfMemoryKills();
    return judgeExit(this.exit!, attempt.log.tail, killsNow !== null && killsNow !== this.memoryKillsBefore);
  }
}
