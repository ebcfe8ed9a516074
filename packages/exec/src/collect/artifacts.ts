import { type Dir, opendirSync } from "node:fs";
import { basename } from "node:path";
import type { TaskLimits } from "@maia/runner-protocol";
import { nameProblem } from "../names.js";
import type { KeepBytes } from "../options.js";
import type { SlotView } from "../slot-view.js";
import { NotTaken, openGuarded } from "./guard.js";
import { isMime, mimeOf } from "./mime.js";

const DEEPEST = 32;
const REGISTERED_MAX_BYTES = 8 * 1024 * 1024;
/** Names in one message; an attempt that leaves a million files gets no million lines. */
const MOST_REFUSALS = 100;
/** Files that are looked at beyond those that may be kept. */
const MOST_LOOKS = 10_000;

/** A file that the step wants kept. */
interface Candidate {
  readonly path: string;
  readonly name: string;
  readonly mime: string | undefined;
}

export interface CollectedArtifact {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
}

export interface CollectRequest {
  /** The slot as the step saw it, and as it lies on the host. */
  readonly seen: SlotView;
  readonly host: SlotView;
  readonly limits: TaskLimits;
  readonly keep: KeepBytes;
  /** Told why a file was not kept. */
  readonly refuse: (line: string) => void;
}

/** Keeps what an ended step registered and what lies in its artifacts folder. Refused files do not fail the step. */
export async function* collectArtifacts(request: CollectRequest): AsyncGenerator<CollectedArtifact> {
  const { limits, host, keep } = request;
  const refuse = limitedRefusals(request.refuse);
  const names = new Set<string>();
  let looks = 0;
  for (const { path, name, mime } of candidates(request, refuse)) {
    if (names.has(name)) continue;
    if (++looks > limits.artifactsMax + MOST_LOOKS) {
      request.refuse("not kept: more files than are looked at");
      return;
    }
    if (names.size >= limits.artifactsMax) {
      request.refuse(`not kept: more than ${limits.artifactsMax} artifacts`);
      return;
    }
    try {
      using file = openGuarded(path, host.work, limits.artifactMax);
      const { sha256, sizeBytes } = await keep(() => file.bytes());
      names.add(name);
      yield { name, sha256, sizeBytes, mime: isMime(mime) ? mime : mimeOf(name) };
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error;
      refuse(`not kept: the file ${JSON.stringify(name)} ${error.message}`);
    }
  }
}

function limitedRefusals(refuse: (line: string) => void): (line: string) => void {
  let count = 0;
  return (line) => {
    count++;
    if (count < MOST_REFUSALS) refuse(line);
    if (count === MOST_REFUSALS) refuse("not kept: more files, not named here");
  };
}

function* candidates(request: CollectRequest, refuse: (line: string) => void): Generator<Candidate> {
  for (const candidate of [...registered(request, refuse)]) {
    const problem = nameProblem(candidate.name);
    if (problem) refuse(`not kept: the file ${JSON.stringify(candidate.name)} ${problem}`);
    else yield candidate;
  }
  for (const candidate of lyingIn(request.host.artifacts, "", 0, refuse)) {
    const problem = nameProblem(candidate.name);
    if (problem) refuse(`not kept: the file ${JSON.stringify(candidate.name)} ${problem}`);
    else yield candidate;
  }
}

/** What the step named itself, through `ctx.artifacts.register`. */
function* registered({ seen, host }: CollectRequest, refuse: (line: string) => void): Generator<Candidate> {
  for (const line of readRegistered(host)) {
    const entry = parseEntry(line);
    if (!entry) continue;
    const { path, mime } = entry;
    if (!path.startsWith(`${seen.work}/`)) {
      refuse(`not kept: the file ${JSON.stringify(path)} lies outside of the attempt's folder`);
      continue;
    }
    const name = entry.name ?? basename(path);
    yield { path: `${host.work}/${path.slice(seen.work.length + 1)}`, name, mime };
  }
}

function readRegistered(host: SlotView): string[] {
  try {
    using file = openGuarded(host.registered, host.work, REGISTERED_MAX_BYTES);
    return file.text().split("\n").filter(Boolean);
  } catch (error) {
    if (error instanceof NotTaken) return [];
    throw error;
  }
}

function parseEntry(line: string): { path: string; name: string | undefined; mime: string | undefined } | null {
  try {
    const { path, name, mime } = JSON.parse(line) as Record<string, unknown>;
    if (typeof path !== "string" || path.includes("\0")) return null;
    return { path, name: typeof name === "string" ? name : undefined, mime: isMime(mime) ? mime : undefined };
  } catch {
    return null;
  }
}

function* lyingIn(folder: string, prefix: string, depth: number, refuse: (line: string) => void): Generator<Candidate> {
  const entries = openFolder(folder);
  if (!entries) return;
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      const name = prefix + entry.name;
      if (!entry.isDirectory()) yield { path: `${folder}/${entry.name}`, name, mime: undefined };
      else if (depth < DEEPEST) yield* lyingIn(`${folder}/${entry.name}`, `${name}/`, depth + 1, refuse);
      else refuse(`not kept: the folder ${JSON.stringify(name)} lies too deep`);
    }
  } finally {
    entries.closeSync();
  }
}

function openFolder(folder: string): Dir | null {
  try {
    return opendirSync(folder);
  } catch {
    return null;
  }
}
