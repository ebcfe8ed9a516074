import type { BatchRow } from "@maia/db";
import { readItems, type StoredItem } from "@maia/intake";
import type { BlobStore } from "@maia/storage";

/** Items that are read at a time, and how many bytes of them: rows are opened a few at a time, but files are read in pieces. */
const AHEAD = 256;
const AHEAD_BYTES = 512 * 1024;

interface Kept {
  /** The index of the first item. */
  readonly from: number;
  readonly items: readonly StoredItem[];
}

/** The items of batches that are next, kept while their batches go on. What is not here is read again from the cursor. */
export class ItemsAhead {
  readonly #kept = new Map<string, Kept>();

  constructor(private readonly blobs: BlobStore) {}

  /** The items from a batch's cursor on: at least one, at most `count`. @throws where they cannot be read. */
  async next(batch: BatchRow, count: number): Promise<readonly StoredItem[]> {
    const kept = this.#kept.get(batch.id);
    const at = kept ? batch.cursor - kept.from : -1;
    if (kept && at >= 0 && at < kept.items.length) return kept.items.slice(at, at + count);
    const items = await this.#read(batch);
    if (items.length === 0) throw new Error(`item ${batch.cursor} is missing`);
    this.#kept.set(batch.id, { from: batch.cursor, items });
    return items.slice(0, count);
  }

  /** Forgets the items of batches that have ended. */
  keepOnly(batchIds: readonly string[]): void {
    if (this.#kept.size === 0) return;
    const live = new Set(batchIds);
    for (const id of this.#kept.keys()) if (!live.has(id)) this.#kept.delete(id);
  }

  async #read({ itemsSha256, cursorBytes }: BatchRow): Promise<StoredItem[]> {
    const items: StoredItem[] = [];
    let bytes = 0;
    for await (const item of readItems(this.blobs, itemsSha256, cursorBytes)) {
      items.push(item);
      bytes += item.bytes;
      if (items.length >= AHEAD || bytes >= AHEAD_BYTES) break;
    }
    return items;
  }
}
