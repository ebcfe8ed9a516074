import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { ApiClient, LocalFile } from "../api-client.js";
import { usage } from "../errors.js";
import { bytes } from "../output/format.js";
import type { Terminal } from "../output/terminal.js";
import { type Listener, sendFile } from "./send-file.js";

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

/** How often progress is shown, in milliseconds. */
const SHOW_MS = 100;

/** Hashes the files and sends those that the server does not have yet. The terminal shows what is sent, and how far it is. */
export async function uploadFiles(
  api: ApiClient,
  flags: readonly string[],
  project: string | undefined,
  terminal: Pick<Terminal, "note" | "passing">,
  called = "--file",
): Promise<JobFile[]> {
  const files: JobFile[] = [];
  const sent = new Set<string>();
  const query = project === undefined ? "" : `?project=${encodeURIComponent(project)}`;
  for (const flag of flags) {
    const { name, path, sizeBytes } = await findFile(flag, called);
    const sha256 = await hashOf(path);
    const address = `v1/blobs/${sha256}${query}`;
    if (!sent.has(sha256) && !(await api.has(address))) {
      terminal.note(`Sending ${name}`);
      const progress = progressOf(name, sizeBytes, terminal);
      await sendFile(api, address, { path, sizeBytes }, progress).finally(() => terminal.passing(""));
    }
    sent.add(sha256);
    files.push({ name, sha256 });
  }
  return files;
}

/** The file that a flag names. @throws {CliError} where there is none. */
export async function findFile(flag: string, called = "--file"): Promise<LocalFile & { readonly sizeBytes: number }> {
  const { name, path } = readFileFlag(flag);
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) throw usage(`${called} ${path}: ${found ? "that is not a file" : `there is no file ${path}`}`);
  return { name, path, sizeBytes: found.size };
}

function progressOf(name: string, sizeBytes: number, terminal: Pick<Terminal, "note" | "passing">): Listener {
  let shownAt = 0;
  return {
    sent: (count) => {
      if (performance.now() - shownAt < SHOW_MS) return;
      shownAt = performance.now();
      const percent = Math.floor((100 * count) / sizeBytes);
      terminal.passing(`${name}: ${percent} % of ${bytes(sizeBytes)}`);
    },
    broke: ({ message }, waitMs) => {
      terminal.passing("");
      terminal.note(`${message}. Going on with ${name} in ${waitMs / 1_000} s`);
    },
  };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}
