import { isStillValid } from "../auth.js";
import { drained } from "../http/drained.js";
import type { Call } from "../http/route.js";
import type { Topic } from "./feed.js";
import type { OpenStream } from "./open-streams.js";
import { tail } from "./tail.js";

const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

/** How long a reader waits before it comes back, in milliseconds. */
const RETRY_MS = 2_000;

/** Where to begin, and whether the end of the run ends the stream. */
export interface StreamPlan {
  readonly topic: Topic;
  readonly after: number;
  readonly untilEnd: boolean;
}

/** Streams a topic to the one who asked, as fast as they read and no faster. */
export async function streamEvents(call: Call, { topic, after, untilEnd }: StreamPlan): Promise<void> {
  const { req, res, context } = call;
  const feed = await context.hub.follow(topic);
  const over = new AbortController();
  const stream = openStream(call, over);
  res.once("close", () => over.abort());
  try {
    res.writeHead(200, HEADERS);
    if (req.method === "HEAD") return;
    res.write(`retry: ${RETRY_MS}\n\n`);
    context.streams.add(stream);
    for await (const chunk of tail(feed, after, untilEnd, over.signal)) {
      if (!res.write(chunk)) await drained(res);
    }
  } finally {
    context.hub.leave(feed);
    context.streams.remove(stream);
    res.end();
  }
}

function openStream({ res, context, caller }: Call, over: AbortController): OpenStream {
  return {
    res,
    end: (hint) => {
      if (over.signal.aborted) return;
      over.abort();
      res.end(hint);
    },
    isAllowed: () => isStillValid(context, caller),
  };
}
