import type { Hello, Load, Poll, PollAnswer } from "@maia/runner-protocol";
import { type GatewayClient, GatewayError } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import { Backoff, pause } from "./backoff.js";
import type { Commands } from "./commands.js";
import type { Marks } from "./marks.js";
import type { Reports } from "./reports.js";
import type { Tasks } from "./tasks.js";

export interface ContactDeps {
  readonly client: GatewayClient;
  readonly hello: Hello;
  readonly tasks: Tasks;
  readonly commands: Commands;
  readonly reports: Reports;
  readonly load: () => Load;
  readonly marks: Marks;
  /** True once nothing new is taken. */
  readonly isStopping: () => boolean;
  readonly onFirstContact: () => void;
  readonly onSuperseded: () => void;
  /** Told that the secret was refused before it ever was accepted, or that the versions do not fit. */
  readonly onRejected: (error: GatewayError) => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const RETRY_MS = { first: 250, most: 10_000 } as const;
/** How many attempts one poll may name. Those of this process come last, and so are named first. */
const MAX_NAMED = 4_096;
/** How long news waits for more of it. In milliseconds. */
const NEWS_MS = 20;
/** Wait before the next poll where one brought nothing that could be taken. In milliseconds. */
const DECLINED_MS = 500;

/** Says hello, asks for work again and again, and goes on for ever when the gateway cannot be reached. */
export class Contact {
  readonly #backoff = new Backoff(RETRY_MS.first, RETRY_MS.most);
  /** Ends the poll that is parked, because there is news for the gateway. */
  #poll = new AbortController();
  #hasNews = false;
  #soon: NodeJS.Timeout | null = null;
  /** Transactions that are open here, as the last answer said, and who waits for there to be none. */
  #openTransactions = 0;
  readonly #closed: (() => void)[] = [];
  /** When the gateway was last reached, and how long a transaction waits for us meanwhile, both in monotonic milliseconds. */
  #reachedAt = performance.now();
  #windowMs = Number.POSITIVE_INFINITY;
  #wasReached = false;
  #isCut = false;

  constructor(private readonly deps: ContactDeps) {}

  /** Has the gateway told what has changed, with all that changes at the same time. */
  news(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.#hasNews = true;
      this.#poll.abort();
    }, NEWS_MS);
  }

  /** Settles once the gateway knows of no transaction that is open here, or gives us no step of one any more. */
  noTransactions(): Promise<void> {
    if (this.#openTransactions === 0 || this.#isGivenUp) return Promise.resolve();
    return new Promise((resolve) => this.#closed.push(resolve));
  }

  /** Runs until the signal is aborted. */
  async run(): Promise<void> {
    const { signal } = this.deps;
    let isGreeted = false;
    while (!signal.aborted) {
      try {
        if (!isGreeted) await this.#greet();
        isGreeted = true;
        await this.#askForWork();
        this.#reached();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof GatewayError)) throw error;
        if (this.#hasNews && this.#poll.signal.aborted) continue; // the parked poll was ended by ourselves
        if (error.code === "SUPERSEDED") return this.deps.onSuperseded();
        if (error.code === "NOT_FOUND" || error.code === "VERSION_UNSUPPORTED") isGreeted = false;
        if (!this.#wasReached && isRejection(error)) return this.deps.onRejected(error);
        if (this.#isGivenUp) this.#endWaiting();
        this.#cut(error);
        await pause(error.retryAfterMs ?? this.#backoff.next(), signal);
      }
    }
  }

  async #greet(): Promise<void> {
    const { client, hello, signal, logger, onFirstContact } = this.deps;
    const { instanceId, generation } = await client.hello(hello, signal);
    logger.info("the gateway knows this runner", { instanceId, generation });
    this.#reached();
    this.#wasReached = true;
    onFirstContact();
  }

  /** One poll, with all that the gateway is to know, and what it brings. */
  async #askForWork(): Promise<void> {
    const { client, signal } = this.deps;
    this.#poll = new AbortController();
    this.#hasNews = false;
    const poll = this.#describe();
    const answer = await client.poll(poll, AbortSignal.any([signal, this.#poll.signal]));
    this.#openTransactions = answer.openTransactions;
    if (answer.openTransactions === 0) this.#endWaiting();
    const { tasks, commands } = this.deps;
    tasks.asked(poll.running);
    tasks.confirmed(poll.gotTasks);
    commands.confirmed(poll.gotCommands, poll.results ?? []);
    if (!this.#take(answer)) await pause(DECLINED_MS, signal);
  }

  #describe(): Poll {
    const { tasks, commands, reports, load, marks, isStopping, client } = this.deps;
    const now = load();
    const isStopped = isStopping();
    const results = commands.results();
    const accepting =
      !(isStopped && this.#openTransactions === 0) && !client.isRefused && marks.exceededBy(now) === null;
    return {
      free: accepting ? tasks.free : 0,
      accepting,
      running: [...new Set([...reports.ids(), ...tasks.coming()])].slice(-MAX_NAMED),
      gotTasks: tasks.got(),
      gotCommands: commands.got(),
      load: marks.told(now),
      ...(isStopped ? { stopping: true } : {}),
      ...(results.length > 0 ? { results } : {}),
    };
  }

  /** False: something came, and none of it is new or can be taken. */
  #take({ tasks, commands }: PollAnswer): boolean {
    for (const task of tasks) this.#windowMs = windowOf(task) ?? this.#windowMs;
    const took = [
      ...commands.map((command) => this.deps.commands.take(command)),
      ...tasks.map((task) => this.deps.tasks.take(task)),
    ];
    return took.length === 0 || took.includes(true);
  }

  /** True where no step of a transaction comes any more: our secret is refused, or nobody could hear us for too long. */
  get #isGivenUp(): boolean {
    return this.deps.client.isRefused || performance.now() - this.#reachedAt > this.#windowMs;
  }

  #endWaiting(): void {
    for (const closed of this.#closed.splice(0)) closed();
  }

  #reached(): void {
    this.#reachedAt = performance.now();
    this.#backoff.reset();
    if (this.#isCut) this.deps.logger.info("the gateway is reached again", {});
    this.#isCut = false;
  }

  /** Says once that contact is lost, and again from time to time. */
  #cut({ code, message }: GatewayError): void {
    const { logger, client } = this.deps;
    const { tries } = this.#backoff;
    this.#isCut = true;
    if (tries !== 0 && tries % 10 !== 0) return;
    if (client.isRefused) {
      logger.error("the gateway refuses MAIA_CLIENT_SECRET; nothing new is started, and what runs goes on meanwhile", {
        error: message,
      });
    } else logger.warn("the gateway cannot be reached; it is tried again", { code, error: message });
  }
}

function isRejection({ code }: GatewayError): boolean {
  return code === "CREDENTIALS_REFUSED" || code === "VERSION_UNSUPPORTED";
}

/** How long the engine waits for a runner that it does not hear, as a task says. */
function windowOf(task: unknown): number | null {
  const { reconnectWindowMs } = (task ?? {}) as { readonly reconnectWindowMs?: unknown };
  return typeof reconnectWindowMs === "number" ? reconnectWindowMs : null;
}
