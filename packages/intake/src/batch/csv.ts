import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isForbiddenKey, isReservedKey, type Json, type JsonObject, nameProblem } from "@maia/domain";
import { CsvError, type Info, parse } from "csv-parse";
import { neededParams, readCell, typesOf } from "./cells.js";
import { ITEM_MAX_BYTES, SourceFault, type SourceRow } from "./source.js";

/** Most columns of a table. */
const COLUMNS_MAX = 1_000;
const NAME_MAX = 255;
/** The column whose cells are addresses of files, separated by white space. */
const URL_FILES = "urlFiles";

interface Column {
  readonly name: string;
  readonly types: readonly string[];
}

/**
 * Items from a CSV: the header names the params, each row is an item. Comma, semicolon or tab may separate the cells.
 * @throws {SourceFault} where the file cannot be read on.
 */
export async function* readCsv(text: AsyncIterable<string>, schema: JsonObject | null): AsyncGenerator<SourceRow> {
  const chunks = text[Symbol.asyncIterator]();
  const head = await readHead(chunks);
  const parser = parse({
    delimiter: delimiterOf(head),
    record_delimiter: ["\r\n", "\n", "\r"],
    max_record_size: ITEM_MAX_BYTES,
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
  });
  const fed = pipeline(Readable.from(joined(head, chunks)), parser).catch(() => {}); // the loop below throws it
  try {
    let columns: Column[] | null = null;
    for await (const { info, record } of parser as AsyncIterable<{ info: Info; record: string[] }>) {
      const row = rowOf(info);
      if (columns) yield readRow(row, record, columns);
      else columns = readHeader(row, record, schema);
    }
    if (!columns) throw new SourceFault("is empty; a CSV begins with the names of the params");
  } catch (error) {
    throw error instanceof CsvError ? new SourceFault(messageOf(error), rowOf(error)) : error;
  } finally {
    parser.destroy();
    await fed;
  }
}

/** Text up to the end of the first line, to see what separates its cells. */
async function readHead(chunks: AsyncIterator<string>): Promise<string> {
  let head = "";
  while (!/[\r\n]/.test(head) && head.length <= ITEM_MAX_BYTES) {
    const { value, done } = await chunks.next();
    if (done) break;
    head += value;
  }
  return head;
}

async function* joined(head: string, chunks: AsyncIterator<string>): AsyncGenerator<string> {
  try {
    if (head !== "") yield head;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

/** What separates the names in the header, outside of quotes; a comma where nothing does. */
export function delimiterOf(head: string): string {
  const [line = ""] = head.replaceAll(/"[^"]*"/g, "").split(/[\r\n]/, 1);
  const counts = [",", ";", "\t"].map((mark) => ({ mark, count: line.split(mark).length }));
  return counts.reduce((most, next) => (next.count > most.count ? next : most)).mark;
}

function readHeader(row: number, cells: readonly string[], schema: JsonObject | null): Column[] {
  const fail = (message: string): never => {
    throw new SourceFault(message, row);
  };
  const names = cells.map((cell) => cell.trim());
  if (names.length > COLUMNS_MAX) fail(`has more than ${COLUMNS_MAX} columns`);
  for (const [index, name] of names.entries()) {
    if (name === "") continue; // fine as long as its cells are empty
    const problem = isForbiddenKey(name) ? "is not allowed as a param" : nameProblem(name, NAME_MAX);
    if (problem) fail(`column ${index + 1}: ${problem}`);
    if (names.indexOf(name) !== index) fail(`has two columns ${name}`);
    if (isReservedKey(name) && name !== URL_FILES) {
      fail(`has a column ${name}, which is reserved for Maia; JSON Lines can give each item its files`);
    }
  }
  const missing = neededParams(schema).filter((name) => !names.includes(name));
  if (missing.length > 0) fail(`has no column ${missing.join(", ")}, which the workflow requires`);
  return names.map((name) => ({ name, types: typesOf(schema, name) }));
}

function readRow(row: number, cells: readonly string[], columns: readonly Column[]): SourceRow {
  if (cells.length !== columns.length) {
    const message = `has ${cells.length} cells, but the header names ${columns.length} columns`;
    return { row, issues: [{ pointer: "", message }] };
  }
  const params: [string, Json][] = [];
  let urlFiles: { url: string }[] | undefined;
  for (const [index, { name, types }] of columns.entries()) {
    const cell = cells[index] ?? "";
    if (name === "" && cell !== "")
      return { row, issues: [{ pointer: "", message: `column ${index + 1} has a cell, but no name` }] };
    if (name === URL_FILES) {
      urlFiles = cell
        .split(/\s+/)
        .filter(Boolean)
        .map((url) => ({ url }));
      continue;
    }
    const value = readCell(cell, types);
    if (value !== undefined) params.push([name, value]);
  }
  return { row, value: { params: Object.fromEntries(params), ...(urlFiles ? { urlFiles } : {}) } };
}

/** The row as a spreadsheet counts it. Of an error: the row after those that were whole. */
function rowOf(at: Pick<Info, "records" | "empty_lines"> | CsvError): number {
  return Number(at.records) + Number(at.empty_lines) + (at instanceof CsvError ? 1 : 0);
}

function messageOf({ code, message }: CsvError): string {
  switch (code) {
    case "CSV_QUOTE_NOT_CLOSED":
      return "has a quote that is never closed";
    case "CSV_INVALID_CLOSING_QUOTE":
      return 'has text after the closing quote of a cell; a quote inside a quoted cell is written ""';
    case "INVALID_OPENING_QUOTE":
      return "has a quote inside a cell that does not begin with one";
    case "CSV_MAX_RECORD_SIZE":
      return `is longer than ${ITEM_MAX_BYTES} characters; is a quote never closed?`;
    default:
      return message;
  }
}
