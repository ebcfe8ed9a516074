import { readFileSync } from "node:fs";
import type { TaskDeps } from "@maia/runner-protocol";
import type { InstallTools } from "../messages.js";
import type { Lock } from "./lock.js";
import type { InstallSettings } from "./settings.js";

/** What an installation works on: files for its folder, the script, and what the script finds in its environment. */
export interface Recipe {
  readonly files: Readonly<Record<string, string>>;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Files that an installation leaves for whoever reads what it has resolved. */
export const NPM_LOCK = "package-lock.json";
export const PIP_REPORT = "report.json";
export const PIP_HASHES = "hashes.json";
const HASHES_SCRIPT = new URL("../../static/hashes.py", import.meta.url);

/** npm's settings that are Maia's: no scripts, no other sources than a registry, and no place in the lockfile. */
const NPM_RULES = [
  ...["ignore-scripts=true", "allow-git=none", "allow-remote=none", "allow-file=none", "allow-directory=none"],
  ...["omit-lockfile-registry-resolved=true", "install-strategy=hoisted", "package-lock=true", "omit=dev"],
  ...["audit=false", "fund=false", "update-notifier=false", "progress=false", "color=false", "logs-max=0"],
  ...[
    "fetch-retries=2",
    "fetch-retry-factor=3",
    "fetch-retry-mintimeout=1000",
    "fetch-retry-maxtimeout=5000",
    "loglevel=notice",
  ],
];
/** Only packages that are built already: building one runs its code. */
const PIP_RULES =
  "--target python --only-binary :all: --ignore-installed --no-input --no-cache-dir --progress-bar off --no-color --no-warn-script-location --disable-pip-version-check";

/** Says how a set is installed: exactly as the lock says, or, without one, resolved from the ranges. */
export function writeRecipe(deps: TaskDeps, lock: Lock | null, tools: InstallTools, settings: InstallSettings): Recipe {
  const files: Record<string, string> = {};
  const script = ['cd "$BUILD"', 'mkdir -p "$HOME" "$TMPDIR"'];
  const count = Object.keys(deps.npm).length;
  if (count > 0) {
    const manifest = { name: "dependencies", version: "0.0.0", private: true, dependencies: deps.npm };
    files["package.json"] = JSON.stringify(manifest);
    files[".npmrc"] = `${[...settings.npm, ...NPM_RULES].join("\n")}\n`;
    if (lock) files[NPM_LOCK] = JSON.stringify(lock.npm);
    const how = lock ? "ci" : "install";
    script.push(`echo "npm ${how}: ${many(count, "package")}"`, `"$NODE" "$NPM" ${how}`);
    script.push(...allowed(deps.allowScripts ?? []));
  }
  if (deps.python.length > 0) {
    files["requirements.txt"] = `${lock ? pinned(lock) : deps.python.join("\n")}\n`;
    const how = lock ? "--require-hashes --no-deps" : `--report ${PIP_REPORT}`;
    script.push(`echo "pip install: ${many(deps.python.length, "package")}"`);
    script.push(`"$PYTHON" -m pip install ${PIP_RULES} ${how} -r requirements.txt`);
    if (!lock) {
      files["hashes.py"] = readFileSync(HASHES_SCRIPT, "utf8");
      script.push(`"$PYTHON" -I hashes.py`);
    }
  }
  return { files, script: `${script.join("\n")}\n`, env: environment(tools, settings) };
}

/** The scripts of the packages that are named, and of no other. By then no token of a registry lies about. */
function allowed(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const quoted = names.map((name) => `'${name}'`).join(" ");
  const flags = "--ignore-scripts=false --foreground-scripts --update-notifier=false --logs-max=0 --loglevel=error";
  return ["rm -f .npmrc", `"$NODE" "$NPM" rebuild ${flags} ${quoted}`];
}

function pinned({ python }: Lock): string {
  return (python ?? [])
    .map(({ name, version, sha256 }) =>
      [`${name}==${version}`, ...sha256.map((hash) => `--hash=sha256:${hash}`)].join(" "),
    )
    .join("\n");
}

function environment(tools: InstallTools, settings: InstallSettings): Record<string, string> {
  return {
    ...settings.proxies,
    ...settings.pip,
    NODE: tools.node,
    NPM: tools.npm ?? "",
    PYTHON: tools.python ?? "",
    npm_config_globalconfig: "/dev/null",
    PIP_CONFIG_FILE: "/dev/null",
  };
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
