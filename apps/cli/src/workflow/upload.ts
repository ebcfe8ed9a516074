import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { ApiClient } from "../api-client.js";
import { usage } from "../errors.js";

/** A file that a job brings: its name there, and the hash that its content is known by. */
export interface JobFile {
  readonly name: string;
  readonly sha256: string;
}

/** Reads `--file NAME=PATH` or `--file PATH`; a path that holds `=` is written with a folder before it: `./a=b`. */
export function readFileFlag(text: string): { name: string; path: string } {
  const at = text.indexOf("=");
  const isNamed = at > 0 && !/[\\/]/.test(text.slice(0, at));
  const path = isNamed ? text.slice(at + 1) : text;
  if (path === "") throw usage(`--file ${text}: it must be PATH or NAME=PATH`);
  return { name: isNamed ? text.slice(0, at) : basename(path), path };
}

/** Hashes the files and sends those that the server does not have yet. `told` hears what is sent. */
export async function uploadFiles(
  api: ApiClient,
  flags: readonly string[],
  project: string | undefined,
  told: (text: string) => void,
  called = "--file",
): Promise<JobFile[]> {
  const files: JobFile[] = [];
  const sent = new Set<string>();
  const query = project === undefined ? "" : `?project=${encodeURIComponent(project)}`;
  for (const flag of flags) {
    const { name, path } = readFileFlag(flag);
    const found = await stat(path).catch(() => null);
    if (!found?.isFile())
      throw usage(`${called} ${path}: ${found ? "that is not a file" : `there is no file ${path}`}`);
    const sha256 = await hashOf(path);
    const address = `v1/blobs/${sha256}${query}`;
    if (!sent.has(sha256) && !(await api.has(address))) {
      told(`Sending ${name}`);
      await api.putFile(address, path, found.size);
    }
    sent.add(sha256);
    files.push({ name, sha256 });
  }
  return files;
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}
