import { CONCURRENCY_DEFAULT, CONCURRENCY_MAX } from "@maia/intake";
import {
  choice,
  integer,
  type JsonSchema,
  list,
  named,
  nullable,
  object,
  optional,
  passedOn,
  text,
} from "../http/shapes.js";
import { jobFiles } from "./job-files.js";

const item: JsonSchema = {
  type: "object",
  properties: {
    params: { type: "object" },
    ...jobFiles,
  },
  additionalProperties: false,
};

const itemsFile: JsonSchema = {
  description: "A CSV or JSON Lines file that was uploaded before, by its hash",
  anyOf: [
    { type: "string" },
    {
      type: "object",
      required: ["sha256"],
      properties: {
        sha256: { type: "string" },
        name: { type: "string", description: "Its ending tells the format" },
        format: { enum: ["csv", "jsonl"], description: "Unless given it follows from the name, or from the content" },
      },
      additionalProperties: false,
    },
  ],
};

/** `POST /v1/batches`. Intake reads it. */
export const batchRequest = passedOn({
  type: "object",
  required: ["workflow"],
  properties: {
    workflow: { type: "string", description: "By id or by name" },
    project: { type: "string", description: "By id or by name; `default` unless given" },
    version: { type: "integer", minimum: 1, description: "The latest unless given" },
    items: { type: "array", items: item, minItems: 1, description: "The rows; either these or `itemsFile`" },
    itemsFile,
    concurrency: { type: "integer", minimum: 1, maximum: CONCURRENCY_MAX, default: CONCURRENCY_DEFAULT },
    maxFailures: { type: "integer", minimum: 1, description: "After so many failed rows the others are stopped" },
    dryRun: { type: "boolean", description: "Checks every row and creates nothing" },
    environment: { type: "string", description: "By id or by name" },
    runner: { type: "string", description: "By id or by name" },
    priority: { type: "integer" },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
  additionalProperties: false,
});

/** What a dry run answers when every row may run. */
export const dryRunAnswer = named(
  "BatchDryRun",
  object({ dryRun: choice(["OK"]), itemCount: integer(1, 1_000_000_000), columns: nullable(list(text(), 1_000)) }),
  { dryRun: "OK", itemCount: 5_000, columns: ["city", "top"] },
);

/** `POST /v1/batches/{id}/retry`. */
export const retryRequest = object({
  rows: optional(choice(["failed", "unsuccessful"], { description: "`failed` unless given" })),
  version: optional(integer(1, 2 ** 31 - 1, { description: "The version that the batch had unless given" })),
});

/** `PATCH /v1/batches/{id}`. */
export const batchChange = object({
  concurrency: optional(integer(1, CONCURRENCY_MAX)),
  maxFailures: optional(nullable(integer(1, 2 ** 31 - 1))),
});
