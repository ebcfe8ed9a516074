import { isSha256, type Reader } from "@maia/domain";
import {
  anyObject,
  choice,
  type Fields,
  flag,
  integer,
  list,
  map,
  named,
  type ObjectOf,
  object,
  optional,
  type Shape,
  text,
} from "../http/shapes.js";

/** The most tasks that an instance may have room for, whatever it says. */
const SLOTS_MAX = 1_024;
/** The most attempts or commands that one poll may name. */
const NAMES_MAX = 4_096;
const LABELS_MAX = 64;
const RESULT_MAX_CHARS = 4_096;

/** An object of which only these fields are read: newer runners may say more (see docs/protocol.md). */
function open<F extends Fields>(fields: F): Shape<ObjectOf<F>> {
  const strict = object(fields, { additionalProperties: true });
  const read = (at: Reader) => {
    const given = at.record();
    const entries = Object.entries(fields).flatMap(([name, shape]) => {
      const value = Object.hasOwn(given, name) ? given[name] : undefined;
      return value === undefined && "optional" in shape ? [] : [[name, shape.read(at.at(name, value))]];
    });
    return Object.fromEntries(entries) as ObjectOf<F>;
  };
  return { schema: strict.schema, read };
}

/** Text that is kept as far as it is of use: whoever sends more of it is not refused for that. */
function cut(maxChars: number): Shape<string> {
  const clean = (value: string) =>
    value
      .toWellFormed()
      .replace(/\p{Cc}/gu, " ")
      .slice(0, maxChars)
      .toWellFormed();
  return { schema: { type: "string" }, read: (at) => clean(at.string()) };
}

const isId = (value: string) =>
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(value) ? null : "must be 1 to 128 letters, digits, _ and -";
const id = text({ pattern: "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$" }, isId);

function quantity(max: number): Shape<number> {
  return { schema: { type: "number", minimum: 0, maximum: max }, read: (at) => at.number(0, max) };
}

export const about = named("GatewayAbout", object({ protocol: text() }), { protocol: "1.0" });

export const hello = named(
  "GatewayHello",
  open({
    protocol: text({ description: "The version of the protocol that it speaks", examples: ["1.0"] }),
    version: cut(64),
    slots: integer(1, SLOTS_MAX),
    labels: optional(
      map(cut(256), LABELS_MAX, (key) => (/^[\w./-]{1,63}$/.test(key) && key !== "__proto__" ? null : "is no label")),
    ),
    isolation: cut(32),
    capabilities: optional(list(cut(64), LABELS_MAX)),
    ledgerId: id,
    processId: optional(id),
    storeId: optional(id),
  }),
);

export const helloAnswer = named(
  "GatewayInstance",
  object({
    instanceId: text(),
    generation: integer(1, Number.MAX_SAFE_INTEGER),
    heartbeatMs: integer(1, Number.MAX_SAFE_INTEGER, { description: "A poll is answered after this at the latest" }),
  }),
);

const result: Shape<{ readonly [key: string]: unknown }> = {
  schema: { type: "object" },
  read: (at) => {
    const value = at.jsonObject();
    if (JSON.stringify(value).length > RESULT_MAX_CHARS) at.fail(`must have at most ${RESULT_MAX_CHARS} characters`);
    return value;
  },
};

export const poll = named(
  "GatewayPoll",
  open({
    free: integer(0, SLOTS_MAX, { description: "Room for so many tasks more" }),
    accepting: optional(flag({ description: "It takes a task as soon as one of its slots is free" })),
    running: list(id, NAMES_MAX, { description: "Attempts whose end is not confirmed" }),
    gotTasks: optional(list(id, NAMES_MAX)),
    gotCommands: optional(list(id, NAMES_MAX)),
    load: optional(
      open({
        cpu: optional(quantity(1_000_000)),
        memoryBytes: optional(quantity(Number.MAX_SAFE_INTEGER)),
        memoryTotalBytes: optional(quantity(Number.MAX_SAFE_INTEGER)),
      }),
    ),
    stopping: optional(flag({ description: "It finishes what it has and takes nothing new" })),
    results: optional(list(open({ id, result }), 100)),
  }),
);

export const pollAnswer = named(
  "GatewayOrders",
  object({
    tasks: list(anyObject, SLOTS_MAX, { description: "Tasks, as docs/protocol.md describes them" }),
    commands: list(
      object(
        {
          id: text(),
          type: choice(["CANCEL", "STOP", "RESTART", "CONNECTIVITY", "SEND", "FETCH", "RECEIVE"]),
          attemptId: optional(text({ description: "Of CANCEL" })),
          token: optional(text({ description: "Of CANCEL: the attempt's, for who never got its task" })),
          mode: optional(choice(["stop", "kill"])),
        },
        { additionalProperties: true },
      ),
      SLOTS_MAX,
    ),
    openTransactions: integer(0, Number.MAX_SAFE_INTEGER, {
      description: "Open on the instance: one that stops waits for them, and takes their steps meanwhile",
    }),
  }),
);

export const unusedQuestion = named(
  "GatewayContent",
  open({
    blobs: list(
      open({
        sha256: text({ pattern: "^[0-9a-f]{64}$" }, (value) => (isSha256(value) ? null : "must be a SHA-256")),
        ageMs: integer(0, Number.MAX_SAFE_INTEGER, { description: "Since it was last put, by the runner's own clock" }),
      }),
      1_000,
    ),
  }),
);

export const unusedAnswer = named(
  "GatewayUnusedContent",
  object({ unused: list(text(), 1_000, { description: "Hashes of what may be removed" }) }),
);

export const framesAnswer = named(
  "GatewayAck",
  object({
    ackedSeq: integer(0, Number.MAX_SAFE_INTEGER, { description: "The last frame that is recorded" }),
    ended: flag({ description: "The attempt is over, and its spool can go" }),
  }),
);
