import type { InputIssue } from "@maia/domain";

/** An item as its sender wrote it: what it holds, or what is wrong with how it is written. */
export interface SourceRow {
  /** Where it stands, as a spreadsheet counts: a CSV's header is row 1. */
  readonly row: number;
  readonly value?: unknown;
  /** Pointers begin at the item. */
  readonly issues?: readonly InputIssue[];
}

export type Source = AsyncIterable<SourceRow>;

/** Something wrong with a file as a whole, after which nothing more of it can be read. */
export class SourceFault extends Error {
  override readonly name = "SourceFault";
  constructor(
    message: string,
    readonly row?: number,
  ) {
    super(message);
  }
}

/** Most bytes of one item, as a line or a row of a table. */
export const ITEM_MAX_BYTES = 1024 * 1024;

/** Items that came with the request itself. */
export async function* inlineSource(items: readonly unknown[]): AsyncGenerator<SourceRow> {
  for (const [index, value] of items.entries()) yield { row: index + 1, value };
}

/** How much is decoded, and then read, before others get their turn. In bytes. */
const PIECE = 64 * 1024;

/** Text from bytes cut anywhere, without its byte order mark. @throws {SourceFault} where it is no UTF-8. */
export async function* decodeText(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw new SourceFault("is not UTF-8; save it as CSV UTF-8");
    }
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      const text = decode(chunk.subarray(at, at + PIECE));
      if (text !== "") yield text;
    }
  }
  const rest = decode();
  if (rest !== "") yield rest;
}

/** Lines without their ends, from text cut anywhere. @throws {SourceFault} on one that is too long. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  let count = 0;
  const check = (line: string) => {
    if (line.length > ITEM_MAX_BYTES) throw new SourceFault(`is longer than ${ITEM_MAX_BYTES} characters`, count + 1);
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; from = end + 1, end = chunk.indexOf("\n", from)) {
      const line = check(rest + chunk.slice(from, end));
      rest = "";
      count += 1;
      yield line.endsWith("\r") ? line.slice(0, -1) : line;
    }
    rest = check(rest + chunk.slice(from));
  }
  if (rest !== "") yield rest;
}
