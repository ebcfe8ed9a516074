import type { IncomingMessage } from "node:http";
import { eventFloor, findRunHead, lastEventId, oldestEventId, type Scope } from "@maia/db";
import { type EventKind, eventKinds, invalid, isRunOver, MaiaError } from "@maia/domain";
import { type Call, type Route, route } from "../http/route.js";
import { choice, optional, text } from "../http/shapes.js";
import { found, narrowedTo } from "../lookup.js";
import { inProject } from "../present/common.js";
import { streamEvents } from "../sse/stream.js";

const cursorQuery = { after: optional(text({ description: "The id of the last event that is known" })) } as const;
const requestHeaders = { "Last-Event-ID": "The id of the last event that is known; beats `after`" };
const stream = {
  description: "One SSE event per stored event: `id` its id, `event` its kind, `data` one line of JSON",
  content: { "text/event-stream": { type: "string" } },
};

export const eventRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runs/{id}/events",
    operationId: "followRun",
    summary: "The events of a run from its beginning, as they happen",
    tag: "Events",
    permission: "events.read",
    query: {
      ...cursorQuery,
      until: optional(choice(["end"], { description: "Ends the stream after the run's last event" })),
    },
    requestHeaders,
    answers: {
      200: stream,
      204: { description: "With until=end: the run has ended, and nothing lies behind the cursor" },
    },
    handler: async (call) => {
      const { context, caller, params, query } = call;
      const head = found(await findRunHead(context.db, caller.projects, params.id), "run");
      const after = await cursorOf(call, query.after, 0, []);
      const untilEnd = query.until === "end";
      if (untilEnd && isRunOver(head.status) && (await isBeyond(call, head.id, after))) return { status: 204 };
      await streamEvents(call, { topic: { runId: head.id }, after, untilEnd });
      return undefined;
    },
  }),
  route({
    method: "get",
    path: "/v1/events",
    operationId: "followAll",
    summary: "The events of all readable projects from now on",
    tag: "Events",
    permission: "events.read",
    query: {
      ...cursorQuery,
      ...inProject,
      kinds: optional(
        text({
          description: `Kinds of events, separated by commas; all but log_line unless given: ${eventKinds.join(", ")}`,
        }),
      ),
    },
    requestHeaders,
    answers: { 200: stream },
    handler: async (call) => {
      const { context, caller, query } = call;
      const kinds =
        query.kinds === undefined ? eventKinds.filter((kind) => kind !== "log_line") : readKinds(query.kinds);
      const projectId = await narrowedTo(call, query.project);
      const projects = projectId === undefined ? caller.projects : [projectId];
      const after = await cursorOf(call, query.after, await lastEventId(context.db), projects);
      await streamEvents(call, { topic: { kinds, projects }, after, untilEnd: false });
      return undefined;
    },
  }),
];

function readKinds(text: string): EventKind[] {
  const names = [...new Set(text.split(","))];
  const kinds = names.map((name) => eventKinds.find((kind) => kind === name));
  if (kinds.every((kind) => kind !== undefined)) return kinds;
  throw invalid([{ pointer: "/kinds", message: `must name kinds of events: ${eventKinds.join(", ")}` }]);
}

/**
 * Where to begin: behind Last-Event-ID, else behind `after`, else at the fallback.
 * @param projects those whose deleted runs are missed by whoever begins before their events.
 * @throws {MaiaError} BAD_CURSOR, EVENTS_EXPIRED.
 */
async function cursorOf(
  { req, context }: Call,
  after: string | undefined,
  fallback: number,
  projects: Scope,
): Promise<number> {
  const text = lastEventIdOf(req) ?? after;
  if (text === undefined) return fallback;
  const cursor = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(cursor)) {
    throw new MaiaError("BAD_CURSOR", "The cursor is no id of an event");
  }
  if (cursor === 0) return cursor;
  const oldest = (await oldestEventId(context.db)) ?? 0;
  const missed = Math.max(oldest - 1, await eventFloor(context.db, projects));
  if (cursor < missed) {
    const message = `Events up to ${missed} are no longer all kept; begin again without a cursor`;
    throw new MaiaError("EVENTS_EXPIRED", message);
  }
  return cursor;
}

function lastEventIdOf(req: IncomingMessage): string | undefined {
  const header = req.headers["last-event-id"];
  return typeof header === "string" && header !== "" ? header : undefined;
}

async function isBeyond({ context }: Call, runId: string, after: number): Promise<boolean> {
  const feed = await context.hub.follow({ runId });
  try {
    return (await feed.page(after)).chunk === null;
  } finally {
    context.hub.leave(feed);
  }
}
