import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MaiaError } from "@maia/domain";
import { ifThere } from "./files.js";

/** Beside the name that every file being written has: whose it is, and of which upload. */
const OWNED = /^blob-\d+-\d+-\d+-[0-9a-f]+\.(part-[\w-]+-[0-9a-f]{64})$/;

/** The name of an upload's file while nobody writes it. @throws {MaiaError} INVALID on what is no scope or no hash. */
export function uploadFile({ scope, sha256 }: { scope: string; sha256: string }): string {
  if (!/^[\w-]{1,80}$/.test(scope) || !/^[0-9a-f]{64}$/.test(sha256))
    throw new MaiaError("INVALID", "An upload is named by a scope and a SHA-256 in lower case");
  return `part-${scope}-${sha256}`;
}

/** The upload that a writer's file belongs to, or null where it is another kind of file. */
export function abandonedUpload(name: string): string | null {
  return OWNED.exec(name)?.[1] ?? null;
}

/** Puts a file under its upload's name, where it can be taken up; of two the longer one stays. */
export async function giveBack(tmp: string, own: string, file: string): Promise<void> {
  const [ours, theirs] = [await ifThere(stat(own)), await ifThere(stat(join(tmp, file)))];
  if (!ours) return;
  if (ours.size > (theirs?.size ?? 0)) await rename(own, join(tmp, file));
  else await rm(own, { force: true });
}
