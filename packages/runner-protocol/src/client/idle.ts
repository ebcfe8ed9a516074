import type { Readable } from "node:stream";
import { ExecutorError } from "../executor.js";

/**
 * The chunks of a stream, which breaks when nothing at all came for `idleMs` while somebody waited. Heartbeats are bytes
 * too, so a silent step does not look dead, and a slow reader is not taken for a silent sender.
 */
export async function* untilIdle(stream: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  let waiting = true;
  const timer = setTimeout(() => {
    if (waiting) stream.destroy(new ExecutorError("UNREACHABLE", `The runner was silent for ${idleMs} ms`));
  }, idleMs);
  try {
    for await (const chunk of stream) {
      waiting = false;
      yield chunk;
      waiting = true;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}
