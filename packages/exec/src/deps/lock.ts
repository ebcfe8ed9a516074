import { canonicalJson, type Dependencies, type Json } from "@maia/domain";

/** A package of npm's lockfile, as far as it is looked at. */
interface NpmPackage {
  readonly integrity?: unknown;
  readonly resolved?: unknown;
  readonly link?: unknown;
  readonly inBundle?: unknown;
}

/** A Python package: its version, and the hashes of the files that it may come as. */
export interface PythonPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: readonly string[];
}

/** What pins every package of a set. */
export interface Lock {
  readonly version: 1;
  /** npm's `package-lock.json`. It names versions and hashes, and no place to get them from. */
  readonly npm: { readonly packages: { readonly [path: string]: NpmPackage } } | null;
  readonly python: readonly PythonPackage[] | null;
}

/** A lock that cannot be trusted, or was made for something else. */
export class LockError extends Error {
  override readonly name = "LockError";
}

/** The text of a lock. The same packages give the same text. */
export function formatLock(lock: Lock): string {
  return canonicalJson(lock as unknown as Json);
}

/**
 * Reads a lock and makes sure that every package in it is known by its hash (B053).
 * @throws {LockError}
 */
export function parseLock(text: string, { npm, python }: Pick<Dependencies, "npm" | "python">): Lock {
  const lock = parsed(text);
  if (lock.version !== 1) throw new LockError("the lock is of another version than this Maia reads");
  if (Object.keys(npm).length > 0) checkNpm(lock.npm);
  if (python.length > 0) checkPython(lock.python);
  return lock;
}

function parsed(text: string): Lock {
  try {
    return JSON.parse(text) as Lock;
  } catch (error) {
    throw new LockError(`the lock is no JSON: ${(error as Error).message}`);
  }
}

/** @throws {LockError} naming a package that comes from anywhere but the registry, or has no hash. */
export function checkNpm(lock: Lock["npm"] | undefined): void {
  if (typeof lock?.packages !== "object") throw new LockError("the lock has no npm packages");
  for (const [path, { integrity, resolved, link, inBundle }] of Object.entries(lock.packages)) {
    if (path === "" || inBundle === true) continue;
    if (link !== undefined || resolved !== undefined)
      throw new LockError(`${path} does not come from the registry: ${String(resolved ?? "it is a link")}`);
    if (typeof integrity !== "string" || !/^sha(1|256|384|512)-/.test(integrity))
      throw new LockError(`${path} has no hash in the lock`);
  }
}

function checkPython(packages: Lock["python"] | undefined): void {
  if (!Array.isArray(packages)) throw new LockError("the lock has no Python packages");
  for (const { name, version, sha256 } of packages as readonly PythonPackage[]) {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(name) || !/^[A-Za-z0-9][\w.+!-]*$/.test(version))
      throw new LockError(`${name} ${version} is no Python package`);
    if (sha256.length === 0 || !sha256.every((hash) => /^[0-9a-f]{64}$/.test(hash)))
      throw new LockError(`${name} has no hash in the lock`);
  }
}

/**
 * What pip reports of what it has chosen, with the hashes under which the same versions come for other platforms.
 * @throws {LockError}
 */
export function readPipReport(text: string, hashesText: string): PythonPackage[] {
  const others = JSON.parse(hashesText) as { readonly [name: string]: readonly string[] };
  const { install } = JSON.parse(text) as {
    install: {
      metadata: { name: string; version: string };
      download_info: { archive_info?: { hash?: string; hashes?: { sha256?: string } } };
    }[];
  };
  const packages = install.map(({ metadata: { name, version }, download_info: { archive_info } }) => {
    const sha256 = archive_info?.hashes?.sha256 ?? /^sha256=(.+)$/.exec(archive_info?.hash ?? "")?.[1];
    const all = new Set([...(sha256 ? [sha256] : []), ...(others[name] ?? [])]);
    return { name, version, sha256: [...all].sort() };
  });
  checkPython(packages);
  return packages.sort((a, b) => (a.name < b.name ? -1 : 1));
}
