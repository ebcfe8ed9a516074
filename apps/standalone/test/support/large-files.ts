import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { Client } from "./client.ts";

export const MIB = 1_024 * 1_024;

/** Content of any size that nobody has to hold: numbered lines of a mebibyte each, different in every one. */
export class LargeContent {
  readonly sizeBytes: number;
  readonly sha256: string;

  readonly #word: string;

  constructor(mebibytes: number, word = "mebibyte") {
    this.#word = word;
    this.sizeBytes = mebibytes * MIB;
    const digest = createHash("sha256");
    for (const piece of this.bytes(0, this.sizeBytes)) digest.update(piece);
    this.sha256 = digest.digest("hex");
  }

  *bytes(from: number, to: number): Generator<Buffer> {
    for (let at = from; at < to; ) {
      const no = Math.floor(at / MIB);
      const piece = Buffer.alloc(MIB, `${this.#word} ${no}\n`).subarray(at - no * MIB, Math.min(to - no * MIB, MIB));
      yield piece;
      at += piece.length;
    }
  }
}

/** Sends the bytes from `from` up to `to` as one part. */
export function putPart({ url, key }: Client, content: LargeContent, from: number, to: number): Promise<Response> {
  const bytes = content.bytes(from, to);
  return fetch(`${url}/v1/blobs/${content.sha256}`, {
    method: "PUT",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "text/plain",
      "content-range": `bytes ${from}-${to - 1}/${content.sizeBytes}`,
    },
    body: ReadableStream.from(bytes),
    duplex: "half",
  } as RequestInit);
}

/** Where the next part of an upload begins; null: all is there. */
export async function uploadOffset({ url, key }: Client, { sha256 }: LargeContent): Promise<number | null> {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await fetch(`${url}/v1/blobs/${sha256}`, { method: "HEAD", headers });
  return answer.status === 200 ? null : Number(answer.headers.get("upload-offset"));
}

/** The memory of a process, in bytes: now, and at most since it was last forgotten. */
export async function memoryOf(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024;
  return { now: of("VmRSS"), peak: of("VmHWM") };
}

/** Has the peak begin anew from what the process has now. Source: proc_pid_clear_refs(5). */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, "5");
}
