import { type Db, type EventHead, lastEventId, readEventHeads } from "@maia/db";
import type { Logger } from "@maia/service";
import { Feed, type Topic } from "./feed.js";

/** How many new events one look takes in. */
const LOOK = 1_000;

/**
 * The one reader of new events in this process. While somebody follows, each ring of the database's bell is one look at
 * what is new, and rings the feeds that it belongs to; three hundred followers of a run cost one read, not three hundred.
 */
export class EventHub implements Disposable {
  readonly #feeds = new Map<string, Feed>();
  readonly #jobs = new Set<() => void>();
  #unlisten: (() => void) | null = null;
  /** The last event that was looked at; known once `#ready` is. */
  #head = 0;
  #ready: Promise<void> = Promise.resolve();
  #looking = false;
  #rungAgain = false;

  constructor(
    private readonly db: Db,
    private readonly logger: Logger,
  ) {}

  /** The feed of a topic. It rings for every event that is committed after this has resolved. Close it after use. */
  async follow(topic: Topic): Promise<Feed> {
    const key = keyOf(topic);
    const feed = this.#feeds.get(key) ?? new Feed(topic, this.db);
    this.#feeds.set(key, feed);
    feed.followers++;
    try {
      await this.#listen();
      return feed;
    } catch (error) {
      this.leave(feed);
      throw error;
    }
  }

  /** Says that one follower has gone. */
  leave(feed: Feed): void {
    feed.followers--;
    if (feed.followers === 0) this.#feeds.delete(keyOf(feed.topic));
    this.#rest();
  }

  /** Calls back whenever the status of any job has changed, until the returned function is called. */
  async watchJobs(callback: () => void): Promise<() => void> {
    this.#jobs.add(callback);
    await this.#listen();
    return () => {
      this.#jobs.delete(callback);
      this.#rest();
    };
  }

  get followers(): number {
    return [...this.#feeds.values()].reduce((sum, feed) => sum + feed.followers, 0);
  }

  [Symbol.dispose](): void {
    this.#unlisten?.();
    this.#unlisten = null;
  }

  /** Listens first, then finds out where the events are: what comes in between rings. */
  #listen(): Promise<void> {
    if (this.#unlisten) return this.#ready;
    this.#unlisten = this.db.bell("events").listen(() => void this.#look());
    this.#ready = lastEventId(this.db).then((id) => {
      this.#head = id;
    });
    this.#ready.catch(() => this[Symbol.dispose]()); // whoever comes next tries again
    return this.#ready;
  }

  #rest(): void {
    if (this.#feeds.size > 0 || this.#jobs.size > 0) return;
    this[Symbol.dispose]();
  }

  /** One look at a time; a ring during it makes another one follow. */
  async #look(): Promise<void> {
    if (this.#looking) {
      this.#rungAgain = true;
      return;
    }
    this.#looking = true;
    try {
      await this.#ready;
      do {
        this.#rungAgain = false;
        while (this.#unlisten && (await this.#takeIn())) {}
      } while (this.#rungAgain);
    } catch (error) {
      this.logger.error("new events could not be read", { error });
    } finally {
      this.#looking = false;
    }
  }

  /** Rings for the events behind the head. @returns whether more may be waiting. */
  async #takeIn(): Promise<boolean> {
    const heads = await readEventHeads(this.db, this.#head, LOOK);
    this.#head = heads.at(-1)?.id ?? this.#head;
    for (const feed of this.#feedsOf(heads)) feed.ring();
    if (heads.some((head) => head.kind === "job_status")) for (const callback of this.#jobs) callback();
    return heads.length === LOOK;
  }

  #feedsOf(heads: readonly EventHead[]): Set<Feed> {
    const rung = new Set<Feed>();
    const streams = [...this.#feeds.values()].filter((feed) => !("runId" in feed.topic));
    for (const head of heads) {
      const ofRun = head.runId === null ? undefined : this.#feeds.get(keyOf({ runId: head.runId }));
      if (ofRun?.has(head)) rung.add(ofRun);
      for (const feed of streams) if (feed.has(head)) rung.add(feed);
    }
    return rung;
  }
}

function keyOf(topic: Topic): string {
  if ("runId" in topic) return `run ${topic.runId}`;
  return `all ${[...topic.kinds].sort()} ${topic.projects === null ? "*" : [...topic.projects].sort()}`;
}
