import { readFileSync } from "node:fs";

/** What a process did to its files and sockets, in the order in which it did it. */
export type Call =
  | { readonly kind: "open"; readonly fd: number; readonly file: string }
  | { readonly kind: "write"; readonly file: string; readonly bytes: Buffer; readonly at: number }
  | { readonly kind: "truncate"; readonly file: string; readonly sizeBytes: number }
  | { readonly kind: "sync"; readonly file: string }
  | { readonly kind: "said"; readonly text: string };

const OPEN = /openat\([^,]+, "((?:\\x[0-9a-f]{2})*)"[^)]*\)\s+= (\d+)$/;
const WRITE = /pwrite64\((\d+), "((?:\\x[0-9a-f]{2})*)", \d+, (\d+)\)\s+= \d+$/;
const TRUNCATE = /ftruncate\((\d+), (\d+)\)\s+= 0$/;
const SYNC = /f(?:data)?sync\((\d+)\)\s+= 0$/;
const SAID = /(?:write|writev|sendto|sendmsg)\(\d+, (.*)\)?\s+= \d+$/;

/** The calls of one thread in a log of `strace -xx`. */
export function readCalls(log: string, isOurs: (file: string) => boolean): Call[] {
  const files = new Map<number, string>();
  const calls: Call[] = [];
  for (const line of readFileSync(log, "latin1").split("\n")) {
    const [, path = "", opened = ""] = OPEN.exec(line) ?? [];
    if (opened) {
      const file = bytesOf(path).toString();
      files.delete(Number(opened));
      if (isOurs(file)) files.set(Number(opened), file);
      continue;
    }
    const [, fd = "", bytes = "", at = ""] = WRITE.exec(line) ?? [];
    const written = files.get(Number(fd));
    if (fd && written) calls.push({ kind: "write", file: written, bytes: bytesOf(bytes), at: Number(at) });
    const [, cut = "", sizeBytes = ""] = TRUNCATE.exec(line) ?? [];
    const truncated = files.get(Number(cut));
    if (cut && truncated) calls.push({ kind: "truncate", file: truncated, sizeBytes: Number(sizeBytes) });
    const [, synced = ""] = SYNC.exec(line) ?? [];
    const file = files.get(Number(synced));
    if (synced && file) calls.push({ kind: "sync", file });
    const [, said = ""] = SAID.exec(line) ?? [];
    if (said) calls.push({ kind: "said", text: bytesOf(said).toString("latin1") });
  }
  return calls;
}

/** A disk that keeps of what a process does only what was synced: what it holds at any moment is there after a power cut. */
export class LossyDisk {
  readonly #synced: Map<string, Buffer>;
  readonly #cached = new Map<string, Call[]>();

  constructor(before: ReadonlyMap<string, Buffer>) {
    this.#synced = new Map([...before].map(([file, bytes]) => [file, Buffer.from(bytes)]));
  }

  get files(): ReadonlyMap<string, Buffer> {
    return this.#synced;
  }

  apply(call: Call): void {
    if (call.kind === "said" || call.kind === "open") return;
    const waiting = this.#cached.get(call.file) ?? [];
    this.#cached.set(call.file, call.kind === "sync" ? [] : [...waiting, call]);
    if (call.kind === "sync") this.#synced.set(call.file, changed(this.#synced.get(call.file), waiting));
  }
}

function changed(before: Buffer = Buffer.alloc(0), calls: readonly Call[]): Buffer {
  let bytes = before;
  for (const call of calls) {
    if (call.kind === "truncate") bytes = resized(bytes, call.sizeBytes);
    if (call.kind !== "write") continue;
    bytes = resized(bytes, Math.max(bytes.length, call.at + call.bytes.length));
    call.bytes.copy(bytes, call.at);
  }
  return bytes;
}

function resized(before: Buffer, sizeBytes: number): Buffer {
  if (before.length === sizeBytes) return before;
  const after = Buffer.alloc(sizeBytes);
  before.copy(after, 0, 0, sizeBytes);
  return after;
}

/** `\x41\x42` → the bytes; whatever stands between is left out. */
function bytesOf(text: string): Buffer {
  return Buffer.from((text.match(/\\x[0-9a-f]{2}/g) ?? []).map((pair) => pair.slice(2)).join(""), "hex");
}
