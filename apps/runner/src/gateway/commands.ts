import { type Command, type CommandResult, ExecutorError } from "@maia/runner-protocol";
import type { Logger } from "@maia/service";
import type { Attempts } from "../attempts/attempts.js";
import type { Errands } from "../keep/errands.js";
import type { Reports } from "./reports.js";
import type { Tasks } from "./tasks.js";
import type { Unconfirmed } from "./unconfirmed.js";

export interface CommandsDeps {
  readonly attempts: Attempts;
  readonly tasks: Tasks;
  readonly reports: Reports;
  readonly unconfirmed: Unconfirmed;
  readonly errands: Errands;
  readonly testConnection: (host: string, port: number, timeoutMs: number | null) => Promise<object>;
  /** Told to stop, to be started again or not. */
  readonly onStop: (type: "STOP" | "RESTART") => void;
  readonly onNews: () => void;
  readonly logger: Logger;
}

/** What the guard of the way out says of an address that may not be tested. */
const BLOCKED = "URL_BLOCKED";

/** How many ids of commands are remembered, so that one that comes again is not carried out again. */
const REMEMBERED = 1_000;

/** Carries out what the gateway commands, each command once. */
export class Commands {
  readonly #seen = new Set<string>();
  readonly #got = new Set<string>();
  /** Cancels by their ids: they are repeated while their attempt lives, and confirmed as long. */
  readonly #cancels = new Map<string, string>();
  readonly #results = new Map<string, CommandResult>();

  constructor(private readonly deps: CommandsDeps) {}

  /** Commands that the gateway has not been told yet that they are here. */
  got(): string[] {
    return [...this.#got];
  }

  results(): CommandResult[] {
    return [...this.#results.values()];
  }

  /** Says that the gateway has these confirmations and results. */
  confirmed(got: readonly string[], results: readonly CommandResult[]): void {
    for (const id of got) {
      const attemptId = this.#cancels.get(id);
      if (attemptId !== undefined && this.#isInHand(attemptId)) continue;
      this.#got.delete(id);
      this.#cancels.delete(id);
    }
    for (const { id } of results) this.#results.delete(id);
  }

  /** Takes a command. False: it was here before. */
  take(command: Command): boolean {
    const { id, type } = command;
    const isNew = !this.#seen.has(id);
    this.#got.add(id);
    if (command.type === "CANCEL") this.#cancels.set(id, command.attemptId);
    this.#remember(id);
    if (!isNew && type !== "CANCEL") return false; // a cancel may have become stricter under the same id
    if (isNew) this.deps.logger.info("the gateway commands", { id, type });
    void this.#carryOut(command).catch((error: unknown) => {
      this.deps.logger.error("a command could not be carried out", { id, type, error });
    });
    return isNew;
  }

  async #carryOut(command: Command): Promise<void> {
    switch (command.type) {
      case "STOP":
      case "RESTART":
        return this.deps.onStop(command.type);
      case "CANCEL":
        return this.#cancel(command);
      case "CONNECTIVITY":
        return this.#tell(command.id, await this.#tried(command.host, command.port, command.timeoutMs));
      case "SEND":
        return this.deps.errands.send(command);
      case "RECEIVE":
        return this.#tell(command.id, await this.deps.errands.receive(command));
      case "FETCH":
        return this.#tell(command.id, await this.deps.errands.fetch(command));
      case "UNKNOWN":
        return;
    }
  }

  async #cancel({ attemptId, mode, token }: Extract<Command, { type: "CANCEL" }>): Promise<void> {
    const { attempts, tasks, reports, unconfirmed } = this.deps;
    try {
      await attempts.cancel(attemptId, mode);
    } catch (error) {
      if (!(error instanceof ExecutorError) || error.code !== "ATTEMPT_UNKNOWN") throw error;
    }
    tasks.interrupt(attemptId);
    if (token === null || this.#isInHand(attemptId)) return;
    await unconfirmed.add({ attemptId, token });
    reports.begin({ attemptId, token }, false);
  }

  /** Has the gateway told what came of a command. */
  #tell(id: string, result: object): void {
    this.#results.set(id, { id, result });
    this.deps.onNews();
  }

  /** Where a name leads is seen from here: an address that nobody may test is told by its code. */
  async #tried(host: string, port: number, timeoutMs: number | null): Promise<object> {
    try {
      return await this.deps.testConnection(host, port, timeoutMs);
    } catch (error) {
      const { message, code } = error as Error & { readonly code?: unknown };
      const why = code === BLOCKED ? { code: BLOCKED } : {};
      return { result: "TIMEOUT", host, port, detail: message.slice(0, 500), ...why };
    }
  }

  #isInHand(attemptId: string): boolean {
    return this.deps.reports.has(attemptId) || this.deps.tasks.coming().includes(attemptId);
  }

  #remember(id: string): void {
    this.#seen.delete(id);
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value!);
  }
}
