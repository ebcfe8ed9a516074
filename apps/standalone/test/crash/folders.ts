import path from "node:path";
import type { Deployment } from "../support/deployments.ts";

/** Folders of a Maia in which something is written before it is moved to its place, by whoever runs the steps. */
export function workFolders(maia: Deployment): { readonly attempts: string; readonly temps: readonly string[] } {
  const { dataDir, runnerDir } = maia;
  const deps = depsFolder(maia);
  const temps = [path.join(dataDir, "tmp"), path.join(deps, "moving"), path.join(deps, "locks")];
  if (runnerDir === null) return { attempts: path.join(dataDir, "runs"), temps };
  return { attempts: path.join(runnerDir, "exec"), temps: [...temps, path.join(runnerDir, "tmp")] };
}

/** Where the sets of packages lie of whoever runs the steps. */
export function depsFolder({ dataDir, runnerDir }: Deployment): string {
  return path.join(runnerDir ?? dataDir, "deps");
}

/** Where content lies, and the runner's copies of it. */
export function blobFolders({ dataDir, runnerDir }: Deployment): readonly string[] {
  return [dataDir, ...(runnerDir === null ? [] : [runnerDir])].map((root) => path.join(root, "blobs"));
}
