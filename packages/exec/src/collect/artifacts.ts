import { basename } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TaskLimits } from "@maia/runner-protocol";
import { nameProblem } from "../names.js";
import type { KeptBytes } from "../options.js";
import type { SlotView } from "../slot-view.js";
import { NotTaken, openGuarded, openGuardedFolder } from "./guard.js";
import { isMime, mimeOf } from "./mime.js";

const DEEPEST = 32;
const REGISTERED_MAX_BYTES = 8 * 1024 * 1024;
/** Names in one message; an attempt that leaves a million files gets no million lines. */
const MOST_REFUSALS = 100;
/** Files and folders that are looked at beyond those that may be kept. */
const MOST_LOOKS = 10_000;
/** Looks after which everybody else has a turn. */
const LOOKS_PER_TURN = 50;

/** A file that the step wants kept. */
interface Candidate {
  readonly path: string;
  readonly name: string;
  readonly mime: string | undefined;
}

/** A folder is a look like any other, so that a million empty ones end as well. */
const A_FOLDER = "folder";
type Look = Candidate | typeof A_FOLDER;

export interface CollectedArtifact {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly mime: string;
  readonly storeId?: string;
}

export interface CollectRequest {
  /** The slot as the step saw it, and as it lies on the host. */
  readonly seen: SlotView;
  readonly host: SlotView;
  readonly limits: TaskLimits;
  readonly keep: (bytes: () => AsyncIterable<Uint8Array>) => Promise<KeptBytes>;
  /** Told why a file was not kept. */
  readonly refuse: (line: string) => void;
  /** Ends the collection: whoever canceled the attempt does not wait for its files. */
  readonly signal: AbortSignal;
}

/**
 * Keeps what an ended step registered and what lies in its artifacts folder, up to a number and a size in all. Refused
 * files do not fail the step.
 */
export async function* collectArtifacts(request: CollectRequest): AsyncGenerator<CollectedArtifact> {
  const { limits, host, keep, signal } = request;
  const refuse = limitedRefusals(request.refuse);
  const names = new Set<string>();
  let looks = 0;
  let room = limits.artifactMax;
  for (const candidate of candidates(request, refuse)) {
    if (++looks % LOOKS_PER_TURN === 0) await nextTurn();
    signal.throwIfAborted();
    if (looks > limits.artifactsMax + MOST_LOOKS) {
      request.refuse("not kept: more files than are looked at");
      return;
    }
    if (candidate === A_FOLDER || names.has(candidate.name)) continue;
    if (names.size >= limits.artifactsMax) {
      request.refuse(`not kept: more than ${limits.artifactsMax} artifacts`);
      return;
    }
    const { path, name, mime } = candidate;
    try {
      using file = openGuarded(path, host.work, limits.artifactMax);
      if (file.sizeBytes > room)
        throw new NotTaken(`would make the attempt's artifacts larger than ${limits.artifactMax} bytes in all`);
      const { sha256, sizeBytes, storeId } = await keep(() => unless(signal, file.bytes()));
      names.add(name);
      room -= sizeBytes;
      const where = storeId === undefined ? {} : { storeId };
      yield { name, sha256, sizeBytes, mime: isMime(mime) ? mime : mimeOf(name), ...where };
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error;
      refuse(`not kept: the file ${JSON.stringify(name)} ${error.message}`);
    }
  }
}

async function* unless(signal: AbortSignal, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    signal.throwIfAborted();
    yield part;
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

function* candidates(request: CollectRequest, refuse: (line: string) => void): Generator<Look> {
  for (const candidate of [...registered(request, refuse)]) {
    const problem = nameProblem(candidate.name);
    if (problem) refuse(`not kept: the file ${JSON.stringify(candidate.name)} ${problem}`);
    else yield candidate;
  }
  const { artifacts, work } = request.host;
  for (const candidate of lyingIn(artifacts, work, "", 0, refuse)) {
    const problem = candidate === A_FOLDER ? null : nameProblem(candidate.name);
    if (candidate !== A_FOLDER && problem) refuse(`not kept: the file ${JSON.stringify(candidate.name)} ${problem}`);
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

function* lyingIn(
  folder: string,
  work: string,
  prefix: string,
  depth: number,
  refuse: (line: string) => void,
): Generator<Look> {
  using opened = openFolder(folder, work, depth === 0, refuse);
  if (!opened) return;
  for (let entry = opened.dir.readSync(); entry !== null; entry = opened.dir.readSync()) {
    const name = prefix + entry.name;
    const path = `${folder}/${entry.name}`;
    if (!entry.isDirectory()) yield { path, name, mime: undefined };
    else {
      yield A_FOLDER;
      if (depth < DEEPEST) yield* lyingIn(path, work, `${name}/`, depth + 1, refuse);
      else refuse(`not kept: the folder ${JSON.stringify(name)} lies too deep`);
    }
  }
}

/** A folder that has gone meanwhile is nothing to tell of, unless it was ours. */
function openFolder(folder: string, work: string, isOurs: boolean, refuse: (line: string) => void) {
  try {
    return openGuardedFolder(folder, work);
  } catch (error) {
    if (!(error instanceof NotTaken)) return null;
    if (isOurs || error.message !== "does not exist")
      refuse(`not kept: the folder ${JSON.stringify(basename(folder))} ${error.message}`);
    return null;
  }
}
