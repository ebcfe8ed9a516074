import type { Sql } from "@maia/db";
import {
  checkFiles,
  checkParamsReserved,
  type ErrorCode,
  type InputIssue,
  isMaiaError,
  type Json,
  type JsonObject,
  Reader,
} from "@maia/domain";
import type { SchemaWorker } from "@maia/schema";
import type { Caller } from "../context.js";
import { FILES_MAX, type JobFile, type JobUrlFile, readFile, readUrlFile, URL_FILES_MAX } from "../job-request.js";
import { knownFiles, type Upload, uploadProblems } from "../prepare-job.js";
import type { Resolved } from "../resolve.js";
import { itemLine } from "./items-file.js";
import { ITEM_MAX_BYTES, type SourceRow } from "./source.js";

/** An item that fits its workflow, as it is stored, or what is wrong with it. Pointers begin at the item. */
export type CheckedItem =
  | { readonly line: string; readonly names: readonly string[]; readonly files: readonly Upload[] }
  | { readonly issues: readonly InputIssue[]; readonly code: ErrorCode };

interface Item {
  readonly row: number;
  readonly params: JsonObject;
  readonly files: readonly Upload[];
  readonly urlFiles: readonly JobUrlFile[];
}

/** Most files that are remembered as known. */
const KNOWN_MAX = 10_000;

/** Checks items against their workflow, many at a time. */
export class ItemChecker {
  readonly #known = new Map<string, Upload>();

  constructor(
    private readonly sql: Sql,
    private readonly schemas: SchemaWorker,
    private readonly caller: Caller,
    private readonly target: Resolved,
  ) {}

  /** One answer per row, in the rows' order. */
  async check(rows: readonly SourceRow[]): Promise<CheckedItem[]> {
    const read: (Item | CheckedItem)[] = [];
    for (const row of rows) read.push(await this.#read(row));
    const items = read.filter((one) => "params" in one);
    const texts = await this.#validate(items);
    return read.map((one) => ("params" in one ? finished(one, texts.get(one)!) : one));
  }

  async #read({ row, value, issues }: SourceRow): Promise<Item | CheckedItem> {
    if (issues) return { issues, code: "INVALID" };
    try {
      const { files, ...item } = Reader.read(value, readItem);
      const reserved = checkParamsReserved(item.params);
      if (reserved.length > 0) return { issues: reserved, code: "RESERVED_KEY" };
      const kept = uploadProblems(this.target, files);
      if (kept.length > 0) return { issues: kept, code: "INVALID" };
      const known = files.length === 0 ? [] : await this.#find(files);
      const broken = checkFiles(this.target.inputSpec, known, item.urlFiles);
      return broken.length > 0 ? { issues: broken, code: "INVALID" } : { row, ...item, files: known };
    } catch (error) {
      if (isMaiaError(error) && error.issues.length > 0) return { issues: error.issues, code: error.code };
      throw error;
    }
  }

  /** Rows often share their files. @throws {MaiaError} BLOB_UNKNOWN */
  async #find(files: readonly JobFile[]): Promise<Upload[]> {
    const keyOf = ({ name, sha256 }: JobFile) => `${sha256} ${name}`;
    const isNew = files.some((file) => !this.#known.has(keyOf(file)));
    if (!isNew) return files.map((file) => this.#known.get(keyOf(file))!);
    const found = await knownFiles(this.sql, this.caller, { files });
    if (this.#known.size + found.length > KNOWN_MAX) this.#known.clear();
    for (const file of found) this.#known.set(keyOf(file), file);
    return found;
  }

  async #validate(items: readonly Item[]): Promise<Map<Item, { text: string; issues: readonly InputIssue[] }>> {
    const schema = this.target.inputSpec?.paramsSchema;
    if (!schema) return new Map(items.map((item) => [item, { text: JSON.stringify(item.params), issues: [] }]));
    const values: Json[] = items.map(({ params }) => params);
    const checked = await this.schemas.validateAll(schema, values);
    return new Map(items.map((item, index) => [item, checked[index]!]));
  }
}

function readItem(root: Reader) {
  const field = root.object(["params", "files", "urlFiles"]);
  return {
    params: field("params").isAbsent ? {} : field("params").jsonObject(),
    files: field("files").items(FILES_MAX).map(readFile),
    urlFiles: field("urlFiles").items(URL_FILES_MAX).map(readUrlFile),
  };
}

function finished(item: Item, { text, issues }: { text: string; issues: readonly InputIssue[] }): CheckedItem {
  if (issues.length > 0) {
    const placed = issues.map((issue) => ({ ...issue, pointer: `/params${issue.pointer}` }));
    return { issues: placed, code: "INVALID" };
  }
  const line = itemLine({ ...item, params: text });
  if (Buffer.byteLength(line) > ITEM_MAX_BYTES) {
    const message = `is larger than ${ITEM_MAX_BYTES} bytes with its defaults`;
    return { issues: [{ pointer: "", message }], code: "INVALID" };
  }
  return { line, names: Object.keys(item.params), files: item.files };
}
