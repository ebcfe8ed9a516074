import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { chmod, constants, copyFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type Content, ExecutorError, type FindContent, type Task } from "@maia/runner-protocol";
import type { ScriptFile } from "./handover.js";
import { nameProblem } from "./names.js";

/** Above it, content is written without holding up the event loop. */
const SMALL_BYTES = 256 * 1024;

/** What may be done with content that lies in a file. */
export interface FillRules {
  /** True when a step cannot write what lies in `run`, so that a file can be shared with the store. */
  readonly mayLink: boolean;
  /** True when steps run under another user, who must be able to read. */
  readonly forOthers: boolean;
}

export type Found = ReadonlyMap<string, Content>;

/**
 * Finds all that a task needs.
 * @throws {ExecutorError} BLOB_MISSING with the hashes, or REFUSED for a file that would lie outside.
 */
export function findAll(task: Task, find: FindContent): Found {
  const found = new Map<string, Content>();
  const missing = new Set<string>();
  for (const sha256 of [task.script.sha256, task.input.sha256, ...task.files.map((file) => file.sha256)]) {
    const content = found.get(sha256) ?? find(sha256);
    if (content) found.set(sha256, content);
    else missing.add(sha256);
  }
  if (missing.size > 0) throw new ExecutorError("BLOB_MISSING", "content is missing", { missing: [...missing] });
  for (const { path } of task.files) {
    const problem = nameProblem(path);
    if (problem) throw new ExecutorError("REFUSED", `the file ${JSON.stringify(path)} ${problem}`);
  }
  return found;
}

/** Lays the task's files into `run`. Waits only for large ones. */
export function fillFiles(task: Task, found: Found, run: string, rules: FillRules): Promise<void>[] {
  const folders = new Set<string>();
  return task.files.flatMap(({ path, sha256 }) => {
    const target = `${run}/${path}`;
    const folder = dirname(target);
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true, mode: 0o755 });
    folders.add(folder);
    return place(found.get(sha256)!, target, 0o444, rules) ?? [];
  });
}

/** Lays the script into a folder under the names that its runtime needs. */
export function fillScript(
  task: Task,
  found: Found,
  folder: string,
  viewFolder: string,
  name: string,
  rules: FillRules,
): { script: ScriptFile; pending: Promise<void> | null } {
  const content = found.get(task.script.sha256)!;
  switch (task.runtime) {
    case "node": {
      const pending = place(content, `${folder}/${name}.mjs`, 0o444, rules);
      const linkTyped = (): void => linkSync(`${folder}/${name}.mjs`, `${folder}/${name}.mts`);
      if (!pending) linkTyped();
      const script = {
        path: `${viewFolder}/${name}.mjs`,
        typedPath: `${viewFolder}/${name}.mts`,
        hasInterpreter: false,
      };
      return { script, pending: pending?.then(linkTyped) ?? null };
    }
    case "python": {
      const pending = place(content, `${folder}/${name}.py`, 0o444, rules);
      return { script: { path: `${viewFolder}/${name}.py`, typedPath: null, hasInterpreter: false }, pending };
    }
    case "shell": {
      const hasInterpreter = firstBytes(content) === "#!";
      // A script that names its interpreter must be executable, which the store's file is not.
      const pending = place(
        content,
        `${folder}/${name}.sh`,
        0o555,
        hasInterpreter ? { ...rules, mayLink: false } : rules,
      );
      return { script: { path: `${viewFolder}/${name}.sh`, typedPath: null, hasInterpreter }, pending };
    }
  }
}

/** The content as text. */
export function readText(content: Content): string {
  return Buffer.from("bytes" in content ? content.bytes : readFileSync(content.path)).toString("utf8");
}

/** The input with the files' paths as the step finds them. */
export function inputForStep(text: string, run: string): string {
  if (!text.includes('"files"')) return text;
  const input = JSON.parse(text) as { initialInput?: { files?: { path?: unknown }[] } };
  for (const file of input.initialInput?.files ?? []) {
    if (typeof file.path === "string" && !file.path.startsWith("/")) file.path = `${run}/${file.path}`;
  }
  return JSON.stringify(input);
}

function firstBytes(content: Content): string {
  if ("bytes" in content) return Buffer.from(content.bytes.subarray(0, 2)).toString("latin1");
  const fd = openSync(content.path, "r");
  try {
    const buffer = Buffer.alloc(2);
    readSync(fd, buffer);
    return buffer.toString("latin1");
  } finally {
    closeSync(fd);
  }
}

/** Puts content at a path: linked where it can be shared, else copied. */
function place(content: Content, target: string, mode: number, rules: FillRules): Promise<void> | null {
  if ("bytes" in content) {
    if (content.bytes.length > SMALL_BYTES) return written(target, content.bytes, mode);
    return writeNow(target, content.bytes, mode);
  }
  const stat = statSync(content.path);
  const isReadable = !rules.forOthers || (stat.mode & 0o004) !== 0;
  if (rules.mayLink && isReadable && linked(content.path, target)) return null;
  if (stat.size > SMALL_BYTES) return copied(content.path, target, mode);
  return writeNow(target, readFileSync(content.path), mode);
}

/** Writes a small file that whoever runs the step can read, whatever this process's umask. */
export function writeNow(target: string, data: Uint8Array | string, mode: number): null {
  writeFileSync(target, data, { mode });
  if ((mode & process.umask()) !== 0) chmodSync(target, mode);
  return null;
}

async function written(target: string, data: Uint8Array, mode: number): Promise<void> {
  await writeFile(target, data);
  await chmod(target, mode);
}

async function copied(from: string, target: string, mode: number): Promise<void> {
  await copyFile(from, target, constants.COPYFILE_FICLONE);
  await chmod(target, mode);
}

function linked(from: string, target: string): boolean {
  try {
    linkSync(from, target);
    return true;
  } catch {
    // Another file system, or too many links: a copy does as well.
    return false;
  }
}
