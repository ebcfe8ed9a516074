import { appendAudit, type Db } from "@maia/db";
import type { JsonObject } from "@maia/domain";
import type { Logger } from "@maia/service";

/** A request that was refused because of who asked: 401, 403, 429. */
export interface Refusal {
  /** The caller's id, or `anonymous`. */
  readonly actor: string;
  /** The method and the path as it is declared, so that there are only so many. */
  readonly target: string;
  readonly status: number;
  readonly ip: string | null;
  readonly requestId: string;
}

interface Counted extends Refusal {
  count: number;
}

/** How long refusals are gathered, in milliseconds. */
const GATHER_MS = 1_000;
/** How many kinds of refusals one entry tells of; the others are counted. */
const KINDS_MAX = 20;
/** How many actors one batch tells of by name. A caller has a key, so there are rarely many. */
const ACTORS_MAX = 50;

/**
 * Puts refusals into the audit log: those of about a second together, one entry per actor, so that whoever knocks ten
 * thousand times a second fills neither the log nor the disk.
 */
export class Refusals implements AsyncDisposable {
  #gathered = new Map<string, { kinds: Map<string, Counted>; count: number }>();
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly db: Db,
    private readonly clock: () => Date,
    private readonly logger: Logger,
  ) {}

  note(refusal: Refusal): void {
    const actor = this.#gathered.size < ACTORS_MAX || this.#gathered.has(refusal.actor) ? refusal.actor : "others";
    const of = this.#gathered.get(actor) ?? { kinds: new Map<string, Counted>(), count: 0 };
    this.#gathered.set(actor, of);
    of.count += 1;
    const kind = `${refusal.status} ${refusal.ip} ${refusal.target}`;
    const counted = of.kinds.get(kind);
    if (counted) counted.count += 1;
    else if (of.kinds.size < KINDS_MAX) of.kinds.set(kind, { ...refusal, count: 1 });
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS).unref();
  }

  /** Writes what was gathered. What cannot be written is told in the process's log instead. */
  flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    this.#writing = this.#writing.then(() => this.#write(gathered));
    return this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  async #write(gathered: ReadonlyMap<string, { kinds: ReadonlyMap<string, Counted>; count: number }>): Promise<void> {
    if (gathered.size === 0) return;
    const now = this.clock();
    const entries = [...gathered].map(([actor, { kinds, count }]) => entryOf(actor, [...kinds.values()], count));
    try {
      await this.db.write(async (tx) => {
        for (const entry of entries) await appendAudit(tx, entry, now);
      });
    } catch (error) {
      this.logger.error("refusals could not be put into the audit log", { entries, error });
    }
  }
}

function entryOf(actor: string, kinds: readonly Counted[], count: number) {
  const [first] = kinds;
  const told = kinds.map(({ target, status, ip, count }) => ({ target, status, ip, count }));
  const others = count - kinds.reduce((sum, kind) => sum + kind.count, 0);
  const detail: JsonObject = { count, kinds: told, ...(others > 0 ? { others } : {}) };
  const { target, requestId, ip } = first!;
  return { actor, action: "request.refuse", target, outcome: "refused", requestId, ip, detail };
}
