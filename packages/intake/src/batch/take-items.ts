import { type ErrorCode, type InputIssue, MaiaError } from "@maia/domain";
import type { BatchContext, Caller } from "../context.js";
import type { Resolved } from "../resolve.js";
import { type CheckedItem, ItemChecker } from "./check-items.js";
import { type Source, SourceFault, type SourceRow } from "./source.js";

/** The items of a batch, checked and kept. */
export interface TakenItems extends Pick<Gathered, "itemCount" | "files"> {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly columns: readonly string[] | null;
}

/** How many rows are checked at a time. */
const CHUNK = 100;
/** Most bytes of all items together, their defaults included. */
const ITEMS_MAX_BYTES = 1024 * 1024 * 1024;
/** Most names of params that a table of results has columns for. */
const COLUMNS_MAX = 1_000;
/** Most different uploaded files that one batch names. */
const FILES_MAX = 10_000;
/** Most issues that an answer lists: of a batch that is refused, and of a dry run. */
export const ISSUES_MAX = 100;
export const DRY_ISSUES_MAX = 10_000;

/** Checks all items and keeps them as one blob. @throws {MaiaError} with a pointer and a row for each fault. */
export async function takeItems(
  context: BatchContext,
  source: Source,
  target: Resolved,
  caller: Caller,
): Promise<TakenItems> {
  const gathered = new Gathered(context.itemsMax, ISSUES_MAX);
  const lines = gathered.lines(source, new ItemChecker(context.db.sql, context.schemas, caller, target), true);
  const { sha256, sizeBytes } = await context.blobs.put(lines, { maxBytes: ITEMS_MAX_BYTES });
  return { sha256, sizeBytes, itemCount: gathered.itemCount, columns: gathered.columns, files: gathered.files };
}

/** Checks all items and keeps nothing. @throws {MaiaError} with a pointer and a row for each fault. */
export async function tryItems(
  context: BatchContext,
  source: Source,
  target: Resolved,
  caller: Caller,
): Promise<Pick<TakenItems, "itemCount" | "columns">> {
  const gathered = new Gathered(context.itemsMax, DRY_ISSUES_MAX);
  const checker = new ItemChecker(context.db.sql, context.schemas, caller, target);
  for await (const _ of gathered.lines(source, checker, false));
  return { itemCount: gathered.itemCount, columns: gathered.columns };
}

/** What is known of items while they go through. */
class Gathered {
  itemCount = 0;
  readonly files = new Set<string>();
  readonly #names = new Set<string>();
  readonly #issues: InputIssue[] = [];
  readonly #codes = new Set<ErrorCode>();
  #badRows = 0;

  constructor(
    private readonly itemsMax: number,
    private readonly issuesMax: number,
  ) {}

  /** The names of the params in the order in which they came; null: too many. */
  get columns(): readonly string[] | null {
    return this.#names.size > COLUMNS_MAX ? null : [...this.#names];
  }

  /**
   * The items as they are stored, chunk by chunk. It fails in the end where one of them is wrong.
   * @param stopEarly fails as soon as the answer could list no more.
   */
  async *lines(source: Source, checker: ItemChecker, stopEarly: boolean): AsyncGenerator<Buffer> {
    try {
      for await (const rows of chunked(source, CHUNK)) {
        const lines = this.#take(rows, await checker.check(rows));
        if (this.itemCount > this.itemsMax) throw new SourceFault(`has more than ${this.itemsMax} items`);
        if (this.files.size > FILES_MAX) throw new SourceFault(`names more than ${FILES_MAX} different uploaded files`);
        if (stopEarly && this.#issues.length >= this.issuesMax) throw this.#refusal("at least ");
        if (this.#badRows === 0) yield Buffer.from(lines.join(""));
      }
      if (this.itemCount === 0) throw new SourceFault("has no items");
    } catch (error) {
      if (!(error instanceof SourceFault)) throw error;
      this.#note(
        { pointer: "/itemsFile", message: error.message, ...(error.row ? { row: error.row } : {}) },
        "INVALID",
      );
    }
    if (this.#codes.size > 0) throw this.#refusal();
  }

  #take(rows: readonly SourceRow[], checked: readonly CheckedItem[]): string[] {
    const lines: string[] = [];
    for (const [at, item] of checked.entries()) {
      const index = this.itemCount++;
      if ("line" in item) {
        lines.push(item.line);
        if (this.#names.size <= COLUMNS_MAX) for (const name of item.names) this.#names.add(name);
        for (const { sha256 } of item.files) this.files.add(sha256);
        continue;
      }
      this.#badRows += 1;
      for (const { pointer, message } of item.issues) {
        this.#note({ pointer: `/items/${index}${pointer}`, message, row: rows[at]!.row }, item.code);
      }
    }
    return lines;
  }

  #note(issue: InputIssue, code: ErrorCode): void {
    this.#codes.add(code);
    if (this.#issues.length < this.issuesMax) this.#issues.push(issue);
  }

  #refusal(atLeast = ""): MaiaError {
    const [code = "INVALID", ...others] = this.#codes;
    const [{ pointer, message, row } = { pointer: "", message: "" }] = this.#issues;
    const first = `${row === undefined ? "" : `row ${row}, `}${pointer} ${message}`;
    const what = this.#badRows === 1 ? "1 row is" : `${atLeast}${this.#badRows} rows are`;
    const text = this.#badRows === 0 ? first : `${what} wrong; the first: ${first}. A dry run lists them all`;
    return new MaiaError(others.length > 0 ? "INVALID" : code, text, { issues: this.#issues });
  }
}

async function* chunked<T>(source: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let chunk: T[] = [];
  for await (const one of source) {
    if (chunk.push(one) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
