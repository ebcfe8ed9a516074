import { rm } from "node:fs/promises";
import type { FromHelper, GoMessage, OpenMessage, SpawnMessage, ToHelper } from "../messages.js";
import { findMarked, signal } from "../processes.js";
import { waitingCommand } from "./commands.js";
import { Lease } from "./lease.js";
import type { Machine } from "./machine.js";
import type { Outbox } from "./outbox.js";
import { PipeStock } from "./pipes.js";
import { StepProcess } from "./step-process.js";
import type { Places, Wrapper } from "./wrappers.js";

/** Processes and threads that one attempt may have, and that all may have together where they cannot be told apart. */
const SLOT_PROCESSES = 1024;
const ALL_PROCESSES = 2048;
/** Marked processes that outlive their step are looked for so long after it. */
const SWEEP_AFTER_MS = 1_000;

export interface HelperSetup {
  readonly open: OpenMessage;
  readonly machine: Machine;
  readonly places: Places;
  readonly wrapper: Wrapper;
  readonly environment: Record<string, string>;
}

/** Starts, supervises and ends the processes of all slots. */
export class Helper {
  private readonly processes = new Map<string, StepProcess>();
  private readonly toRemove = new Set<string>();
  private readonly pipes: PipeStock;
  private readonly lease: Lease;
  private ended: string[] = [];

  constructor(
    private readonly setup: HelperSetup,
    private readonly outbox: Outbox,
  ) {
    this.pipes = new PipeStock(setup.machine.mkfifo ?? "mkfifo", `${setup.open.home}/pipes/${setup.open.slotPrefix}`);
    this.lease = new Lease(setup.open.leaseTtlMs, () => this.endAll());
  }

  handle(message: ToHelper): void {
    switch (message.t) {
      case "spawn":
        this.spawn(message);
        break;
      case "go":
        this.go(message);
        break;
      case "kill":
        this.processes.get(message.slot)?.end("canceled", message.mode);
        break;
      case "credit":
        this.processes.get(message.slot)?.credit(message.bytes);
        break;
      case "remove":
        this.remove(message.slot);
        break;
      case "ping":
        this.lease.renew();
        break;
      case "open":
        break;
    }
  }

  /** Lets steps print again, or not, as the executor reads. */
  hold(isHeld: boolean): void {
    for (const process of this.processes.values()) process.hold(isHeld);
  }

  /** Ends every tree, because nobody asks for them any more. */
  endAll(): void {
    for (const process of this.processes.values()) process.end("lost", "kill");
  }

  get isIdle(): boolean {
    return this.processes.size === 0;
  }

  private spawn({ slot, runtime, memoryBytes, processes, cpuMs = null, alsoReads }: SpawnMessage): void {
    const { machine, places, wrapper, environment } = this.setup;
    const count = { slot: processes ?? SLOT_PROCESSES, steps: ALL_PROCESSES, others: null }[wrapper.counts];
    const inner = waitingCommand(runtime, slot, machine, places, wrapper, { memoryBytes, processes: count, cpuMs });
    const command = wrapper.wrap(slot, inner, alsoReads);
    const home = wrapper.level === "sandbox" ? "/maia/work" : `${places.home}/slots/${slot}/work`;
    try {
      const process = new StepProcess({
        slot,
        command,
        wrapper,
        pipes: this.pipes.take(),
        environment: { ...environment, HOME: home },
        send: (message) => this.send(message),
        onOver: () => this.over(slot),
      });
      this.processes.set(slot, process);
    } catch (error) {
      this.send({ t: "gone", slot, message: String(error) });
    }
  }

  private go(message: GoMessage): void {
    const process = this.processes.get(message.slot);
    if (process) {
      process.go(message);
      return;
    }
    const ended = { exitCode: null, signal: null, reason: "spawn_failed", message: "the process has ended" } as const;
    const nothing = { droppedLines: 0, droppedBytes: 0, answer: null, alive: false };
    this.send({ t: "end", slot: message.slot, ...ended, ...nothing });
  }

  private send(message: FromHelper): void {
    this.outbox.send(message);
    if (this.outbox.isFull) this.hold(true);
  }

  private over(slot: string): void {
    this.processes.delete(slot);
    if (this.setup.wrapper.tree === "group") this.sweepLater(slot);
    if (this.toRemove.delete(slot)) this.remove(slot);
  }

  /** What left its group and its output behind carries the slot's mark still. */
  private sweepLater(slot: string): void {
    this.ended.push(`/${slot}/`);
    if (this.ended.length > 1) return;
    setTimeout(() => {
      for (const pid of findMarked(this.ended)) signal(pid, "SIGKILL");
      this.ended = [];
    }, SWEEP_AFTER_MS).unref();
  }

  private remove(slot: string): void {
    const process = this.processes.get(slot);
    if (process) {
      this.toRemove.add(slot);
      process.end("canceled", "kill");
      return;
    }
    rm(`${this.setup.open.home}/slots/${slot}`, { recursive: true, force: true }).catch((error: Error) => {
      this.send({
        t: "note",
        level: "warn",
        message: "a slot could not be removed",
        fields: { slot, error: error.message },
      });
    });
  }
}
