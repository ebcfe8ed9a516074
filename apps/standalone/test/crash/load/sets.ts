import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { NpmRegistry } from "../../../../../packages/exec/test/npm-registry.ts";
import type { PythonIndex } from "../../../../../packages/exec/test/python-index.ts";

/** Files of a package beside its entry. Many, so that a kill may come between two of them. */
const FILES = 10;

/** The packages of which a set is made, and the folder of the set in which they lie. */
const KINDS = {
  npm: { names: ["npmlead", "npmleaf"], folder: "node_modules" },
  python: { names: ["pylead", "pyleaf"], folder: "python" },
} as const;

export type Kind = keyof typeof KINDS;
/** SHA-256 of files by their path below the folder of packages. */
export type Tree = Readonly<Record<string, string>>;
/** Which release of each package is there. */
export type Versions = Readonly<Record<string, string>>;

/** Publishes a release of every package of which a set is made. The leads want any release of their leaf. */
export function publishAll(registry: NpmRegistry, index: PythonIndex, version: string): void {
  for (const [name, dependencies] of [
    ["npmleaf", {}],
    ["npmlead", { npmleaf: "*" }],
  ] as const)
    registry.publish(name, { version, dependencies, files: filesOf(name, version) });
  index.publish("pyleaf", version, { "pyleaf/__init__.py": "", ...below("pyleaf", version) });
  index.publish("pylead", version, { "pylead/__init__.py": "", ...below("pylead", version) }, ["pyleaf"]);
}

/** The whole tree that must be there, as far as its files are ours. */
export function treeOf(kind: Kind, versions: Versions): Tree {
  return hashed(Object.assign({}, ...KINDS[kind].names.map((name) => below(name, versions[name] ?? "none"))));
}

/** What is wrong with a tree, or null. */
export function faultOf(found: Tree, wanted: Tree): string | null {
  const wrong = Object.keys(wanted).filter((name) => found[name] !== wanted[name]);
  const more = Object.keys(found).filter((name) => !(name in wanted));
  if (wrong.length + more.length === 0) return null;
  return `lacks ${wrong.length} of ${Object.keys(wanted).length} files (${wrong.slice(0, 3)}), has ${more.length} others (${more.slice(0, 3)})`;
}

/** Reads the packages of a set as they lie on the disk, and the releases that they say they are. */
export async function readSet(set: string, kind: Kind): Promise<{ versions: Versions; tree: Tree }> {
  const { names, folder } = KINDS[kind];
  const files = await read(path.join(set, folder));
  const versions = names.map((name) => [name, String(files[`${name}/version.txt`] ?? "none")]);
  return { versions: Object.fromEntries(versions), tree: hashed(files) };
}

async function read(root: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((name) => /\.txt$/.test(name) && !name.includes("dist-info"));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(root, name))] as const)),
  );
}

function filesOf(name: string, version: string): Record<string, string> {
  const numbered = Array.from({ length: FILES }, (_, no) => [
    `part-${no}.txt`,
    `${name} ${version} ${no} `.repeat(200),
  ]);
  return { "version.txt": version, ...Object.fromEntries(numbered) };
}

function below(name: string, version: string): Record<string, string> {
  return Object.fromEntries(Object.entries(filesOf(name, version)).map(([file, text]) => [`${name}/${file}`, text]));
}

function hashed(files: Readonly<Record<string, string | Buffer>>): Tree {
  return Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]),
  );
}
