import type { Feed } from "./feed.js";

/**
 * The pages of a feed behind a cursor, then every new one. Past and future come from the same read; the bell only wakes
 * us. Ends when the signal aborts, or after the end of the run where that is asked for.
 */
export async function* tail(feed: Feed, after: number, untilEnd: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let cursor = after; !signal.aborted; ) {
    const rings = feed.rings; // remember before reading, or an event in between goes unheard
    const page = await feed.page(cursor);
    if (page.chunk) yield page.chunk;
    cursor = page.cursor;
    if (untilEnd && page.isEnd) return;
    if (!page.isFull) await feed.rungSince(rings, signal);
  }
}
