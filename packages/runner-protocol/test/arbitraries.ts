import fc from "fast-check";
import type { Frame } from "../src/frames.js";

const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: "binary", maxLength: 80 }).map((value) => value.toWellFormed());
const id = fc.stringMatching(/^att_[a-z0-9]{1,20}$/);
const at = fc
  .date({ min: new Date(0), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true })
  .map((date) => date.toISOString());
const sha256 = fc.stringMatching(/^[0-9a-f]{64}$/);
const path = fc
  .array(fc.stringMatching(/^[a-zé日 -]{1,12}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"));
const data = fc.dictionary(
  fc.string({ maxLength: 10 }).filter((key) => key !== "__proto__"),
  fc.jsonValue({ maxDepth: 4, noUnicodeString: false }).filter((value) => !/-0|__proto__/.test(JSON.stringify(value))),
  { noNullPrototype: true },
);

/** Any frame that keeps to the protocol. */
export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("log" as const),
      seq,
      stream: fc.constantFrom("stdout", "stderr", "system"),
      line: text,
      at,
    }),
  },
  fc.record({ type: fc.constant("heartbeat" as const) }),
  fc.record({
    type: fc.constant("started" as const),
    seq,
    attemptId: id,
    epoch: count,
    pid: count,
    isolation: fc.constantFrom("sandbox", "pid-namespace", "process-group"),
  }),
  fc.record({
    type: fc.constant("artifact" as const),
    seq,
    name: path,
    sha256,
    sizeBytes: count,
    mime: fc.constantFrom("text/csv", ""),
  }),
  fc.record({ type: fc.constant("truncated" as const), seq, lines: count, bytes: count }),
  fc.record({ type: fc.constant("output" as const), seq, data: data.map(plain) }),
  fc.record({
    type: fc.constant("exit" as const),
    lastSeq: count,
    exitCode: fc.option(fc.integer({ min: 0, max: 255 })),
    signal: fc.option(fc.constantFrom("SIGTERM", "SIGKILL")),
    reason: fc.constantFrom("exited", "timeout", "canceled", "oom", "spawn_failed", "lost"),
    error: fc.option(fc.record({ code: text, message: text })),
  }),
);

/** Lines that are frames, nearly frames, or nothing of the kind. */
export const anyLine: fc.Arbitrary<Uint8Array> = fc.oneof(
  anyFrame.map((frame) => Buffer.from(JSON.stringify(frame))),
  fc
    .constantFrom("", "\r", "{}", "[]", "null", '{"type":"later","x":[1]}', '{"type":"log","seq":0}', "\ufeff{}")
    .map((line) => Buffer.from(line)),
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }).map((line) => Buffer.from(line)),
);

/** JSON has no -0. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
