import { fileNameProblem, isSha256, Reader } from "@maia/domain";
import { type JobRequest, PRIORITY_MAX, readLabels, readRef, refProblem } from "../job-request.js";

/** How a file of items is written. */
export type ItemsFormat = "csv" | "jsonl";

export interface ItemsFile {
  readonly sha256: string;
  /** Null: it shows. */
  readonly format: ItemsFormat | null;
}

/** What `POST /v1/batches` asks for, checked by itself; its items and what it names are checked later. */
export interface BatchRequest extends Omit<JobRequest, "params" | "files" | "urlFiles"> {
  readonly items: readonly unknown[] | null;
  readonly itemsFile: ItemsFile | null;
  readonly concurrency: number;
  readonly maxFailures: number | null;
  readonly dryRun: boolean;
}

const FIELDS = [
  "workflow",
  "project",
  "version",
  "items",
  "itemsFile",
  "concurrency",
  "maxFailures",
  "dryRun",
  "environment",
  "runner",
  "priority",
  "labels",
] as const;

const HINTS = {
  params: "stands in each of the items",
  files: "stands in each of the items",
  urlFiles: "stands in each of the items",
};

/** How many rows run at once unless the request says it. Few enough to leave room for others. */
export const CONCURRENCY_DEFAULT = 10;
export const CONCURRENCY_MAX = 10_000;

/** Reads the request for a batch. @throws {MaiaError} INVALID with a pointer for each fault. */
export function parseBatchRequest(value: unknown, itemsMax: number): BatchRequest {
  return Reader.read(value, (root) => {
    const field = root.object(FIELDS, HINTS);
    const version = field("version");
    const maxFailures = field("maxFailures");
    return {
      workflow: field("workflow").string(refProblem),
      project: readRef(field("project")),
      version: version.isAbsent ? null : version.integer(1, 2 ** 31 - 1),
      ...readItems(root, field("items"), field("itemsFile"), itemsMax),
      concurrency: field("concurrency").integer(1, CONCURRENCY_MAX, CONCURRENCY_DEFAULT),
      maxFailures: maxFailures.isAbsent || maxFailures.isNull ? null : maxFailures.integer(1, 2 ** 31 - 1),
      dryRun: field("dryRun").boolean(false),
      environment: readRef(field("environment")),
      runner: readRef(field("runner")),
      priority: field("priority").integer(-PRIORITY_MAX, PRIORITY_MAX, 0),
      labels: readLabels(field("labels")),
    };
  });
}

function readItems(root: Reader, items: Reader, file: Reader, max: number): Pick<BatchRequest, "items" | "itemsFile"> {
  if (items.isAbsent === file.isAbsent) {
    root.at("items").fail(items.isAbsent ? "is required, or itemsFile" : "must not be given with itemsFile");
  }
  if (!file.isAbsent) return { items: null, itemsFile: readItemsFile(file) };
  const list = items.items(max).map((item) => item.value);
  if (Array.isArray(items.value) && items.value.length === 0) items.fail("must have at least one item");
  return { items: list, itemsFile: null };
}

/** `{sha256, name?, format?}`, or the hash alone. The name's ending tells the format where nothing else does. */
function readItemsFile(file: Reader): ItemsFile {
  const rule = (text: string) => (isSha256(text) ? null : "must be 64 lower-case hexadecimal digits");
  if (typeof file.value === "string") return { sha256: file.string(rule), format: null };
  const field = file.object(["sha256", "name", "format"]);
  const name = field("name").isAbsent ? "" : field("name").string(fileNameProblem);
  const format = field("format").isAbsent ? formatOf(name) : field("format").oneOf(["csv", "jsonl"] as const);
  return { sha256: field("sha256").string(rule), format };
}

function formatOf(name: string): ItemsFormat | null {
  if (/\.(csv|tsv)$/i.test(name)) return "csv";
  return /\.(jsonl|ndjson)$/i.test(name) ? "jsonl" : null;
}
