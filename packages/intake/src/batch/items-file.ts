import type { BlobStore } from "@maia/storage";
import type { JobUrlFile } from "../job-request.js";
import type { Upload } from "../prepare-job.js";

/** An item of a batch that was accepted. */
export interface Item {
  /** Where it stood in its sender's input. */
  readonly row: number;
  /** The params as JSON text, defaults filled in. */
  readonly params: string;
  readonly files: readonly Upload[];
  readonly urlFiles: readonly JobUrlFile[];
}

/** An item with how many bytes it takes in its file. */
export interface StoredItem extends Item {
  readonly bytes: number;
}

const NEWLINE = 0x0a;

/** An item as it is stored: one line of JSON. Its params are JSON already. */
export function itemLine({ row, params, files, urlFiles }: Item): string {
  const more = {
    ...(files.length > 0 ? { files: files.map(pickFile) } : {}),
    ...(urlFiles.length > 0 ? { urlFiles } : {}),
  };
  const rest = JSON.stringify(more).slice(1, -1);
  return `{"row":${row},"params":${params}${rest === "" ? "" : `,${rest}`}}\n`;
}

function pickFile({ name, sha256, sizeBytes, mime }: Upload): Upload {
  return { name, sha256, sizeBytes, mime };
}

/** The items of a batch from a byte on, at which one begins. @throws where they are not there or no longer whole. */
export async function* readItems(blobs: BlobStore, sha256: string, fromByte = 0): AsyncGenerator<StoredItem> {
  let rest: Buffer[] = [];
  for await (const chunk of blobs.read(sha256, {
    start: fromByte,
    end: Number.POSITIVE_INFINITY,
  }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; from = end + 1, end = chunk.indexOf(NEWLINE, from)) {
      yield readItem(Buffer.concat([...rest, chunk.subarray(from, end)]));
      rest = [];
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) throw new Error(`the items ${sha256} are cut off`);
}

function readItem(line: Buffer): StoredItem {
  const { row, params, files = [], urlFiles = [] } = JSON.parse(line.toString());
  return { row, params: JSON.stringify(params), files, urlFiles, bytes: line.length + 1 };
}
