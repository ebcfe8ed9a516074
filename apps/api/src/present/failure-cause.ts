import { choice, integer, list, named, nullable, object, optional, text } from "../http/shapes.js";
import { id, moment } from "./common.js";

const lastLine = object({ stream: choice(["stdout", "stderr", "system"]), line: text() });

export const cause = named(
  "FailureCause",
  object(
    {
      kind: choice(["attempt", "file"], {
        description: "An attempt of a step, or an input file that could not be had",
      }),
      stepKey: optional(text()),
      attemptId: optional(id("att")),
      attemptNo: optional(integer(1, 1_000_000)),
      attempts: optional(integer(1, 1_000_000, { description: "How many the step has had" })),
      exitCode: optional(nullable(integer(-2_147_483_648, 4_294_967_295))),
      signal: optional(nullable(text())),
      at: optional(nullable(moment)),
      lines: optional(list(lastLine, 10, { description: "The last lines of its log" })),
      fileId: optional(id("file")),
      name: optional(text()),
      url: optional(nullable(text())),
      error: optional(nullable(text())),
    },
    { description: "What failed first" },
  ),
  {
    kind: "attempt",
    stepKey: "parse",
    attemptId: "att_01kc1x8n9f2b4d6h8k0m2p4r6t",
    attemptNo: 3,
    attempts: 3,
    exitCode: 1,
    signal: null,
    at: "2026-11-20T12:00:00.523Z",
    lines: [{ stream: "stderr", line: "Error: row 7 has no amount" }],
  },
);
