import { readdir } from "node:fs/promises";
import path from "node:path";
import { NpmRegistry } from "../../../../../packages/exec/test/npm-registry.ts";
import { PythonIndex } from "../../../../../packages/exec/test/python-index.ts";
import type { Workflow } from "../../support/client.ts";
import { Sink } from "../../support/sink.ts";
import { depsFolder } from "../folders.ts";
import { nodeStep, pythonStep } from "../scripts.ts";
import type { Job, Load, Trial } from "../trial.ts";
import { faultOf, type Kind, publishAll, readSet, type Tree, treeOf, type Versions } from "./sets.ts";

/** What a step has found where its packages lie. */
interface Seen {
  readonly version: number;
  readonly who: string;
  readonly kind: Kind;
  readonly tree: Tree;
  readonly versions: Versions;
}

/**
 * Versions of a workflow whose packages are resolved, installed and pinned while parts are killed, and releases of the
 * packages that appear meanwhile. Every step, also one that is lost, tells each file that it found (G20).
 */
export class Installs implements Load {
  readonly name = "installs";
  readonly #registry: NpmRegistry;
  readonly #index: PythonIndex;
  readonly #seen: Sink;
  readonly #acked: string[] = [];
  #releases = 0;

  private constructor(registry: NpmRegistry, index: PythonIndex, seen: Sink) {
    this.#registry = registry;
    this.#index = index;
    this.#seen = seen;
  }

  static async open(): Promise<Installs> {
    return new Installs(await NpmRegistry.open(), await PythonIndex.open(), await Sink.open());
  }

  get env(): Record<string, string> {
    return { MAIA_NPM_REGISTRY: this.#registry.url, MAIA_PYTHON_INDEX: this.#index.url };
  }

  async prepare(): Promise<void> {
    this.#publish();
  }

  async submit(trial: Trial): Promise<void> {
    for (let n = 0; !trial.isOver; n++) {
      const version = await trial.publish(workflowOf(n, { ...trial.stepEnv, SEEN: this.#seen.url }));
      for (const job of [0, 1]) {
        const request = { workflow: "installs", version };
        const { id } = await trial.make<Job>("install", "/v1/jobs", request, `install-${n}-${job}`);
        this.#acked.push(id);
        this.#publish();
        await trial.rest(1_500, 6_000);
      }
    }
  }

  async check(trial: Trial): Promise<readonly string[]> {
    for (const id of this.#acked) await trial.succeeded(id);
    const seen = this.#seen.entries.map((entry) => JSON.parse(entry) as Seen);
    if (this.#acked.length > 0 && seen.length === 0) trial.violate("no step has told of its packages");
    for (const one of seen) checkSeen(trial, one);
    checkPinned(trial, seen);
    await checkSets(trial);
    return this.#acked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#registry, this.#index, this.#seen].map((part) => part[Symbol.asyncDispose]()));
  }

  #publish(): void {
    publishAll(this.#registry, this.#index, `1.${this.#releases++}.0`);
  }
}

function checkSeen(trial: Trial, { who, kind, tree, versions }: Seen): void {
  const fault = faultOf(tree, treeOf(kind, versions));
  if (fault) trial.violate(`G20 ${who} saw packages ${JSON.stringify(versions)}: the tree ${fault}`);
}

/** All steps of all runs of a version have seen the same releases: those that its lock names. */
function checkPinned(trial: Trial, seen: readonly Seen[]): void {
  const pinned = new Map<string, string>();
  for (const { version, who, kind, versions } of seen) {
    const [key, text] = [`${kind} of version ${version}`, JSON.stringify(versions)];
    const first = pinned.get(key) ?? text;
    pinned.set(key, first);
    if (text !== first) trial.violate(`G20 ${who} saw ${text} as ${key}, which others saw as ${first}`);
  }
}

/** Sets that are on the disk are whole, also those that no step has seen. */
async function checkSets({ maia, violations }: Trial): Promise<void> {
  const sets = path.join(depsFolder(maia), "sets");
  for (const name of await readdir(sets)) {
    for (const kind of ["npm", "python"] as const) {
      const { versions, tree } = await readSet(path.join(sets, name), kind);
      const fault = faultOf(tree, treeOf(kind, versions));
      if (fault) violations.push(`G20 the set ${name} of ${JSON.stringify(versions)} ${fault}`);
    }
  }
}

/** Each version differs by its description alone; all want any release of the same packages. */
function workflowOf(n: number, env: Record<string, string>): Workflow {
  return {
    name: "installs",
    description: `Number ${n}`,
    env: { ...env, NUMBER: String(n) },
    dependencies: { npm: { npmlead: "*" }, python: ["pylead"] },
    steps: [
      { key: "one", script: LOOK_NODE },
      { key: "two", script: LOOK_NODE },
      { key: "snake", runtime: "python", script: LOOK_PYTHON },
    ],
  };
}

const WHO_NODE = `const e = process.env; const who = [e.MAIA_RUN_ID, e.MAIA_STEP_KEY, e.MAIA_ATTEMPT_NO].join();`;
const LOOK_NODE = nodeStep(
  `${WHO_NODE}
  const root = dirname(dirname(createRequire(import.meta.url).resolve("npmlead/package.json")));
  const names = readdirSync(root, { recursive: true }).filter((name) => name.endsWith(".txt"));
  const tree = Object.fromEntries(names.map((name) => [name, createHash("sha256").update(readFileSync(join(root, name))).digest("hex")]));
  const versions = Object.fromEntries(["npmlead", "npmleaf"].map((name) => [name, JSON.parse(readFileSync(join(root, name, "package.json"))).version]));
  const seen = { version: Number(e.NUMBER), who, kind: "npm", tree, versions };
  await fetch(e.SEEN + "/" + encodeURIComponent(JSON.stringify(seen)));
  return {};`,
  `import { createHash } from "node:crypto"; import { readdirSync, readFileSync } from "node:fs";
  import { createRequire } from "node:module"; import { dirname, join } from "node:path"; import "npmlead"; import "npmleaf";`,
);
const LOOK_PYTHON = pythonStep(
  [
    "root = os.path.dirname(os.path.dirname(pylead.__file__))",
    "tree = {}",
    "for folder, _, names in os.walk(root):",
    "    for name in names:",
    "        file = os.path.join(folder, name)",
    "        if name.endswith('.txt') and 'dist-info' not in file:",
    "            with open(file, 'rb') as f:",
    "                tree[os.path.relpath(file, root)] = hashlib.sha256(f.read()).hexdigest()",
    "versions = {name: importlib.metadata.version(name) for name in ('pylead', 'pyleaf')}",
    "who = ','.join([e['MAIA_RUN_ID'], e['MAIA_STEP_KEY'], e['MAIA_ATTEMPT_NO']])",
    "seen = {'version': int(e['NUMBER']), 'who': who, 'kind': 'python', 'tree': tree, 'versions': versions}",
    "urllib.request.urlopen(e['SEEN'] + '/' + urllib.parse.quote(json.dumps(seen), safe=''))",
    "return {}",
  ],
  ["import hashlib, importlib.metadata, json, urllib.parse", "import pylead, pyleaf"],
);
