/** What waits for its turn: in order within a group, and the groups by turns, so that a large one delays no small one. */
export class FairQueue<T> {
  readonly #groups = new Map<string, T[]>();

  push(group: string, item: T): void {
    const items = this.#groups.get(group);
    if (items) items.push(item);
    else this.#groups.set(group, [item]);
  }

  /** Takes what is next; undefined when nothing waits. */
  next(): T | undefined {
    const [turn] = this.#groups;
    if (!turn) return undefined;
    const [group, items] = turn;
    this.#groups.delete(group);
    const item = items.shift();
    if (items.length > 0) this.#groups.set(group, items);
    return item;
  }

  /** Takes a whole group out, and says what it was. */
  drop(group: string): T[] {
    const items = this.#groups.get(group) ?? [];
    this.#groups.delete(group);
    return items;
  }
}
