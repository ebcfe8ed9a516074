import { symlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { SetInUse } from "./deps/store.js";
import type { Session } from "./session.js";
import type { Slot } from "./slot-folders.js";

/** Where a step finds the packages that it may import. */
export interface Packages {
  readonly node: string;
  readonly python: string;
}

/**
 * Lays a link to the packages where node looks for them: on the way up from the script and, below the sandbox, from the
 * working directory. Python is told the folder.
 */
export function linkPackages({ ready }: Session, { host }: Slot, set: SetInUse | null): Packages | null {
  if (set === null) return null;
  const folder = `${ready.viewDeps}/${set.key}`;
  const packages = { node: `${folder}/node_modules`, python: `${folder}/python` };
  symlinkSync(packages.node, `${host.run}/node_modules`);
  if (ready.report.level !== "sandbox") symlinkSync(packages.node, `${dirname(host.run)}/node_modules`);
  return packages;
}
