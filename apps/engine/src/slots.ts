/** How many attempts an engine has in hand at once. */
export class Slots {
  #free: number;

  constructor(readonly size: number) {
    this.#free = size;
  }

  get free(): number {
    return Math.max(0, this.#free);
  }

  /** Gives back the slot of an attempt that has ended. */
  give(): void {
    this.#free += 1;
  }

  /** Takes a slot for an attempt that exists already, whether there is room or not. */
  take(): void {
    this.#free -= 1;
  }

  hold(): Hold {
    return new Hold(
      () => {
        if (this.#free <= 0) return false;
        this.#free -= 1;
        return true;
      },
      (count) => {
        this.#free += count;
      },
    );
  }
}

/** Slots taken for a write that has not committed yet: a write that is repeated or fails gives them back. */
export class Hold {
  #taken = 0;

  constructor(
    private readonly takeOne: () => boolean,
    private readonly giveBack: (count: number) => void,
  ) {}

  take(): boolean {
    if (!this.takeOne()) return false;
    this.#taken += 1;
    return true;
  }

  release(): void {
    this.giveBack(this.#taken);
    this.#taken = 0;
  }
}
