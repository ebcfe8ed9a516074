import type { ServerResponse } from "node:http";
import { encodeFrame } from "@maia/runner-protocol";

const HEARTBEAT = encodeFrame({ type: "heartbeat" });

/**
 * Answers with lines as they come, and with heartbeats while none come. The head goes out at once, so that the caller
 * knows that its task was taken. The caller's pace is kept, and its leaving ends the stream and nothing else.
 */
export async function streamFrames(
  res: ServerResponse,
  lines: AsyncGenerator<Uint8Array>,
  heartbeatMs: number,
  gone: AbortSignal,
): Promise<void> {
  res.writeHead(200, { "content-type": "application/x-ndjson", "x-accel-buffering": "no" });
  res.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!res.writableNeedDrain) res.write(HEARTBEAT);
  }, heartbeatMs);
  try {
    for await (const bytes of lines) {
      heartbeat.refresh();
      if (!res.write(bytes)) await drained(res, gone);
    }
    res.end();
  } finally {
    clearInterval(heartbeat);
  }
}

/** Resolves when the caller has taken in what was sent, or has gone. */
function drained(res: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done);
      gone.removeEventListener("abort", done);
      resolve();
    };
    res.on("drain", done);
    gone.addEventListener("abort", done);
    if (gone.aborted) done();
  });
}
