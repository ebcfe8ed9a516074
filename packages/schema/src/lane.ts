import { Worker } from "node:worker_threads";
import { READY, type Reply, type Request } from "./requests.js";

/** How long a worker may take to load, in milliseconds. */
const LOAD_MS = 30_000;
/** On a busy machine a worker may get so much less of the processor than one that is alone. */
const BUSY_FACTOR = 20;
/** How long a worker without work stays, in milliseconds. */
const IDLE_MS = 5 * 60_000;

/** The worker's program. Compiled code and tests alike take the compiled one. */
const PROGRAM = new URL("../dist/worker.js", import.meta.url);

/** Why a request got no reply: the worker had to be stopped. */
export type Overrun = "time" | "memory";

export interface Job {
  readonly request: Request;
  readonly done: (reply: Reply | Overrun) => void;
  readonly failed: (error: Error) => void;
}

/**
 * One worker with memory and time limits, and the requests that wait for it. It works on one request at a time, so what
 * has to be stopped with it is never somebody else's.
 */
export class Lane {
  private readonly queue: Job[] = [];
  private current: Job | null = null;
  private worker: Worker | null = null;
  private isReady = false;
  private timer: NodeJS.Timeout | undefined;
  private idle: NodeJS.Timeout | undefined;

  /** @param turn looks at the job whose turn it is; false: it has gone elsewhere. */
  constructor(
    private readonly validateMs: number,
    private readonly turn: (job: Job) => boolean = () => true,
  ) {}

  submit(job: Job): void {
    this.queue.push(job);
    if (!this.current) this.next();
  }

  async close(): Promise<void> {
    const jobs = [...(this.current ? [this.current] : []), ...this.queue.splice(0)];
    this.current = null;
    await this.stop();
    for (const job of jobs) job.failed(new Error("the schema worker is closed"));
  }

  private next(): void {
    let job = this.queue.shift();
    while (job && !this.turn(job)) job = this.queue.shift();
    this.current = job ?? null;
    if (!job) {
      this.rest();
      return;
    }
    clearTimeout(this.idle);
    this.worker ??= this.start();
    if (this.isReady) this.ask(job);
    else this.limit(LOAD_MS, () => this.fail(new Error("the schema worker does not load")));
  }

  private ask(job: Job): void {
    const { worker, validateMs } = this;
    if (!worker) return;
    const until = performance.now() + BUSY_FACTOR * validateMs;
    const before = usedMs(worker);
    const look = async (): Promise<void> => {
      const used = (await usedMs(worker)) - (await before);
      if (this.current !== job || worker !== this.worker) return;
      if (used >= validateMs || performance.now() >= until) this.overrun("time");
      else this.limit(Math.max(validateMs - used, 10), look);
    };
    this.limit(validateMs, look);
    worker.postMessage(job.request);
  }

  /** The timer keeps the process alive while a request is under way; the worker itself never does. */
  private limit(ms: number, late: () => void | Promise<void>): void {
    clearTimeout(this.timer);
    const { current } = this;
    this.timer = setTimeout(() => {
      // Our own loop may have been late: a reply that has arrived by now is read before the verdict.
      setImmediate(() => current && current === this.current && void late());
    }, ms);
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, {
      name: "maia-schema",
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
    });
    this.isReady = false;
    worker.on("message", (message: Reply | typeof READY) => {
      if (worker === this.worker) this.hear(message);
    });
    worker.on("error", (error: NodeJS.ErrnoException) => {
      if (worker !== this.worker) return;
      if (error.code === "ERR_WORKER_OUT_OF_MEMORY") this.overrun("memory");
      else this.fail(error);
    });
    worker.on("exit", () => {
      if (worker === this.worker) this.fail(new Error("the schema worker has ended"));
    });
    worker.unref(); // after the listeners, which would hold it again
    return worker;
  }

  private hear(message: Reply | typeof READY): void {
    if (message === READY) {
      this.isReady = true;
      if (this.current) this.ask(this.current);
    } else this.settle((job) => job.done(message));
  }

  private overrun(what: Overrun): void {
    void this.stop();
    this.settle((job) => job.done(what));
  }

  private fail(error: Error): void {
    void this.stop();
    this.settle((job) => job.failed(error));
  }

  private settle(tell: (job: Job) => void): void {
    clearTimeout(this.timer);
    const job = this.current;
    this.current = null;
    if (job) tell(job);
    if (!this.current) this.next();
  }

  private rest(): void {
    if (!this.worker) return;
    clearTimeout(this.idle);
    this.idle = setTimeout(() => void this.stop(), IDLE_MS).unref();
  }

  private async stop(): Promise<void> {
    const { worker } = this;
    this.worker = null;
    this.isReady = false;
    clearTimeout(this.timer);
    clearTimeout(this.idle);
    await worker?.terminate();
  }
}

/**
 * The processor's time that a worker has used, in milliseconds: what a schema costs is what counts, not how busy the
 * machine is. Before Node 24.6 a worker cannot be asked; then the time that has passed stands for it.
 */
async function usedMs(worker: Worker): Promise<number> {
  if (typeof worker.cpuUsage !== "function") return performance.now();
  const { user, system } = await worker.cpuUsage().catch(() => ({ user: Number.POSITIVE_INFINITY, system: 0 }));
  return (user + system) / 1_000;
}
