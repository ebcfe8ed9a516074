/** Somebody who takes in the frames of an attempt. */
export interface FollowOptions {
  readonly fromSeq: number;
  readonly signal: AbortSignal;
  /** The owner that follows; it is sent away when a newer one comes. Null: whoever it is, it may stay. */
  readonly epoch: number | null;
  /** How long to wait for more before lines are read, unless it is the end. In milliseconds; 0 unless given. */
  readonly lingerMs?: number;
  /** True: the follower names the attempt regularly, so that its connection alone does not count as being asked about. */
  readonly promisesToAsk: boolean;
}

/** A follower that has been let in. */
export interface Follower {
  readonly epoch: number;
  readonly promisesToAsk: boolean;
  /** Aborted when its connection ends, or when it is sent away. */
  readonly signal: AbortSignal;
  leave(): void;
}

/** Most followers of one attempt; the eldest goes when another comes. */
const FOLLOWERS_MAX = 8;

/** Who follows an attempt right now. */
export class Followers {
  readonly #present = new Set<Follower>();

  constructor(private readonly onChange: () => void) {}

  /** True while somebody follows whose connection alone says that the attempt is wanted. */
  get keepAlive(): boolean {
    return [...this.#present].some((follower) => !follower.promisesToAsk);
  }

  add({ signal, epoch, promisesToAsk }: FollowOptions): Follower {
    const away = new AbortController();
    const follower: Follower = {
      epoch: epoch ?? Number.POSITIVE_INFINITY,
      promisesToAsk,
      signal: AbortSignal.any([signal, away.signal]),
      leave: () => {
        away.abort();
        if (this.#present.delete(follower)) this.onChange();
      },
    };
    if (this.#present.size >= FOLLOWERS_MAX) [...this.#present][0]!.leave();
    this.#present.add(follower);
    this.onChange();
    return follower;
  }

  sendAway(olderThan: number): void {
    for (const follower of [...this.#present]) if (follower.epoch < olderThan) follower.leave();
  }

  /** Passes lines on, and sees the follower off after the last one. */
  async *until(follower: Follower, lines: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* lines;
    } finally {
      follower.leave();
    }
  }
}
