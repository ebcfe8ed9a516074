import { findRunHead, type LogItem, type LogQuery, readLogLines } from "@maia/db";
import { drained } from "../http/drained.js";
import { type Call, ok, type Reply, type Route, route } from "../http/route.js";
import { choice, integer, named, object, optional, text } from "../http/shapes.js";
import { found } from "../lookup.js";
import { moment, pageOf } from "../present/common.js";

const DEFAULT_LINES = 100;
const LINES_MAX = 1_000;

const logItem = named(
  "LogItem",
  object({
    at: moment,
    stepKey: text(),
    attemptNo: integer(1, 1_000_000),
    seq: integer(1, Number.MAX_SAFE_INTEGER, { description: "Counts from 1 within the attempt" }),
    stream: choice(["stdout", "stderr", "system"]),
    line: text(),
  }),
  { at: "2026-11-20T12:00:00.123Z", stepKey: "parse", attemptNo: 1, seq: 1, stream: "stdout", line: "read 3 rows" },
);

export const logRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runs/{id}/logs",
    operationId: "getLogs",
    summary: "The log of a run, oldest line first",
    tag: "Runs",
    permission: "runs.read",
    query: {
      stepKey: optional(text()),
      attemptNo: optional(integer(1, 1_000_000)),
      stream: optional(choice(["stdout", "stderr", "system"])),
      q: optional(text({ description: "Only lines with this text in them, in whatever case", maxLength: 1_000 })),
      cursor: optional(text({ description: "The nextCursor of the page before" })),
      limit: optional(
        integer(1, LINES_MAX, { description: `How many lines; ${DEFAULT_LINES} as JSON, all that there are as text` }),
      ),
      order: optional(choice(["asc", "desc"])),
      format: optional(choice(["json", "text"])),
    },
    answers: {
      200: {
        description:
          "A page of lines; `nextCursor` is null only when the run has ended and nothing remains. As text: the lines themselves",
        shape: pageOf(logItem),
        content: { "text/plain": { type: "string" } },
        headers: { "Maia-Next-Cursor": "As text with a limit: where to go on" },
      },
    },
    handler: async (call) => {
      const { context, caller, params, query } = call;
      found(await findRunHead(context.db, caller.projects, params.id), "run");
      const { limit, format, ...filter } = query;
      const wanted = { ...filter, runId: params.id };
      if (format !== "text") return ok(await readLogLines(context.db, { ...wanted, limit: limit ?? DEFAULT_LINES }));
      return limit === undefined ? streamText(call, wanted) : textPage(call, { ...wanted, limit });
    },
  }),
];

const PLAIN = "text/plain; charset=utf-8";

async function textPage({ context }: Call, query: LogQuery): Promise<Reply> {
  const { items, nextCursor } = await readLogLines(context.db, query);
  const next = nextCursor === null ? {} : { "Maia-Next-Cursor": nextCursor };
  return { status: 200, headers: { "Content-Type": PLAIN, ...next }, body: asText(items) };
}

/** All lines up to now, as fast as they are read. */
async function streamText({ context, req, res }: Call, query: Omit<LogQuery, "limit">): Promise<undefined> {
  let cursor = query.cursor ?? null;
  let page = await readLogLines(context.db, { ...query, cursor, limit: LINES_MAX });
  res.writeHead(200, { "Content-Type": PLAIN });
  while (req.method !== "HEAD" && !res.destroyed) {
    if (page.items.length > 0 && !res.write(asText(page.items))) await drained(res);
    if (page.nextCursor === null || page.nextCursor === cursor) break;
    cursor = page.nextCursor;
    page = await readLogLines(context.db, { ...query, cursor, limit: LINES_MAX });
  }
  res.end();
}

function asText(items: readonly LogItem[]): string {
  return items.map(({ line }) => `${line}\n`).join("");
}
