import { createParser } from "eventsource-parser";

export interface SseEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

export interface SseStream extends AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  /** What came so far. */
  readonly events: readonly SseEvent[];
  readonly retries: readonly number[];
  readonly comments: readonly string[];
  /** Waits until so many events have come, or the stream has ended. */
  until(isEnough: (events: readonly SseEvent[]) => boolean): Promise<readonly SseEvent[]>;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
}

/** Follows a stream of events. */
export async function follow(url: string, headers: Record<string, string>): Promise<SseStream> {
  const abort = new AbortController();
  const res = await fetch(url, { headers, signal: abort.signal });
  const events: SseEvent[] = [];
  const retries: number[] = [];
  const comments: string[] = [];
  let changed = Promise.withResolvers<void>();
  let isOver = false;
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const parser = createParser({
    onEvent: ({ id, event, data }) => events.push({ id, event, data }),
    onRetry: (ms) => retries.push(ms),
    onComment: (comment) => comments.push(comment),
  });
  const read = async () => {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of res.body ?? []) {
        parser.feed(decoder.decode(chunk, { stream: true }));
        wake();
      }
    } catch {
      // aborted, or broken off
    }
    isOver = true;
    wake();
  };
  const ended = read();
  return {
    status: res.status,
    headers: res.headers,
    events,
    retries,
    comments,
    ended,
    until: async (isEnough) => {
      while (!isOver && !isEnough(events)) await changed.promise;
      return events;
    },
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await ended;
    },
  };
}
