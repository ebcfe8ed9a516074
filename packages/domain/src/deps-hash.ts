import { canonicalJson, sha256Hex } from "./canonical-json.js";

/** The packages that a workflow's steps import. */
export interface Dependencies {
  /** Package names and the ranges of versions that fit. */
  readonly npm: { readonly [name: string]: string };
  /** Requirements such as `pandas>=2`. */
  readonly python: readonly string[];
  /** npm packages whose install scripts may run. Left out: none. */
  readonly allowScripts?: readonly string[];
}

/**
 * The hash that names an installed set: SHA-256 of the canonical JSON of dependency map and lockfile. The lockfile is
 * null until the first install has resolved it.
 */
export function depsHash(dependencies: Dependencies, lock: string | null): string {
  return sha256Hex(canonicalJson({ dependencies, lock }));
}

/** True when there is anything to install. */
export function hasDependencies({ npm, python }: Dependencies): boolean {
  return python.length > 0 || Object.keys(npm).length > 0;
}
