import { type Db, type EventHead, type EventText, readEventHeads, readEvents, readRunEventHeads } from "@maia/db";
import type { EventKind } from "@maia/domain";

/** What a feed is about: one run, or the kinds of events of some projects (null is all). */
export type Topic =
  | { readonly runId: string }
  | { readonly kinds: readonly EventKind[]; readonly projects: readonly string[] | null };

/** Part of a feed, ready to be sent. */
export interface FeedPage {
  /** The events as SSE has them; null where there were none. Shared by all who are at the same place: never changed. */
  readonly chunk: Buffer | null;
  /** Where to go on. */
  readonly cursor: number;
  /** True where more may be waiting behind the cursor. */
  readonly isFull: boolean;
  /** The run has ended and the page holds its last event. */
  readonly isEnd: boolean;
}

/** How many events a page looks at, and how many bytes of them it takes unless a single one is larger. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 256 * 1_024;
/** Pages that are kept for those who come next. Followers of the same run are mostly at the same place. */
const KEPT_PAGES = 8;

/** The events of one topic, read once for all who follow it. */
export class Feed {
  readonly #pages = new Map<number, Promise<FeedPage>>();
  readonly #waiting = new Set<() => void>();
  #rings = 0;
  /** How many follow. Kept by the hub. */
  followers = 0;

  constructor(
    readonly topic: Topic,
    private readonly db: Db,
  ) {}

  /** True if the event belongs to the feed. */
  has({ runId, projectId, kind }: EventHead): boolean {
    const { topic } = this;
    if ("runId" in topic) return runId === topic.runId && kind !== "job_status";
    if (!topic.kinds.includes(kind)) return false;
    return topic.projects === null || (projectId !== null && topic.projects.includes(projectId));
  }

  /** How often new events came. Remember it before reading, to know what to wait for afterwards. */
  get rings(): number {
    return this.#rings;
  }

  /** New events are there: what was read before may lack them. */
  ring(): void {
    this.#rings++;
    this.#pages.clear();
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Waits until the feed has rung more than `seen` times, or the signal aborts. */
  async rungSince(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#rings !== seen || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** The events behind the cursor. Whoever asks for the same place meanwhile gets the same page. */
  page(cursor: number): Promise<FeedPage> {
    const kept = this.#pages.get(cursor);
    if (kept) return kept;
    const page = this.#read(cursor);
    this.#pages.set(cursor, page);
    page.catch(() => this.#pages.delete(cursor));
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > KEPT_PAGES) this.#pages.delete(oldest!);
    return page;
  }

  async #read(cursor: number): Promise<FeedPage> {
    const { topic, db } = this;
    const heads =
      "runId" in topic
        ? await readRunEventHeads(db, topic.runId, cursor, PAGE_EVENTS)
        : await readEventHeads(db, cursor, PAGE_EVENTS);
    const { ids, last, isCut } = cut(heads, (head) => this.has(head), cursor);
    const events = await readEvents(db, ids);
    return {
      chunk: events.length > 0 ? Buffer.from(events.map(serialise).join("")) : null,
      cursor: last,
      isFull: isCut || heads.length === PAGE_EVENTS,
      isEnd: "runId" in topic && events.some(endsRun),
    };
  }
}

/** Which of the events a page takes, and up to where it has looked. */
function cut(heads: readonly EventHead[], wanted: (head: EventHead) => boolean, cursor: number) {
  const ids: number[] = [];
  let last = cursor;
  let bytes = 0;
  for (const head of heads) {
    if (wanted(head)) {
      bytes += head.sizeBytes;
      if (ids.length > 0 && bytes > PAGE_BYTES) return { ids, last, isCut: true };
      ids.push(head.id);
    }
    last = head.id;
  }
  return { ids, last, isCut: false };
}

/** One stored event is one SSE event. White space between the parts of JSON may be anything; here it may not break a line. */
function serialise({ id, kind, data }: EventText): string {
  const line = /[\r\n]/.test(data) ? data.replace(/[\r\n]/g, " ") : data;
  return `id: ${id}\nevent: ${kind}\ndata: ${line}\n\n`;
}

/** A run's last event is its terminal status. */
function endsRun({ kind, data }: EventText): boolean {
  if (kind !== "run_status") return false;
  const { status } = JSON.parse(data) as { status?: unknown };
  return status === "SUCCEEDED" || status === "FAILED" || status === "CANCELED";
}
