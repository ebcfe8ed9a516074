import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { runBriefly } from "./run-briefly.js";

/** A Python found on this machine, and the folders and files that it needs to run. */
export interface Python {
  readonly executable: string;
  readonly needs: readonly string[];
  /** What compiled packages must fit. */
  readonly abi: string;
}

/** The programs that this machine offers. */
export interface Machine {
  readonly node: string;
  /** The folder of npm, where there is one. */
  readonly npm: string | null;
  readonly python: Python | null;
  readonly shell: string;
  readonly bwrap: string | null;
  readonly setpriv: string | null;
  readonly unshare: string | null;
  readonly mkfifo: string | null;
  readonly mount: string | null;
}

const SYSTEM_FOLDERS = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/** Looks for the programs once, so that no step pays for a search or a version manager's shim. */
export async function exploreMachine(searchPath: string): Promise<Machine> {
  return {
    node: realpathSync(process.execPath),
    npm: findNpm(searchPath),
    python: await findPython(searchPath),
    shell: "/bin/sh",
    bwrap: systemProgram("bwrap"),
    setpriv: systemProgram("setpriv"),
    unshare: systemProgram("unshare"),
    mkfifo: systemProgram("mkfifo"),
    mount: systemProgram("mount"),
  };
}

const ASK_PYTHON = `
import sys, sysconfig, os, json
var = sysconfig.get_config_var
paths = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
if var("Py_ENABLE_SHARED"): paths.append(os.path.join(var("LIBDIR") or "", var("INSTSONAME") or ""))
base = getattr(sys, "_base_executable", sys.executable)
abi = sys.implementation.cache_tag + "-" + sysconfig.get_platform()
print(json.dumps({"executable": os.path.realpath(base), "abi": abi, "needs": [p for p in paths if p and os.path.exists(p)]}))
`;

/** The system's own Python starts ten times faster than a shim, so it comes first. */
async function findPython(searchPath: string): Promise<Python | null> {
  const candidates = ["/usr/bin/python3", ...searchPath.split(":").map((folder) => join(folder, "python3"))];
  for (const candidate of candidates.filter(isProgram)) {
    const answer = await runBriefly(candidate, ["-I", "-c", ASK_PYTHON]);
    if (answer.code !== 0) continue;
    const { executable, needs, abi } = JSON.parse(answer.stdout) as Python;
    return { executable, abi, needs: [executable, ...needs].filter((path) => !path.startsWith("/usr/")) };
  }
  return null;
}

/** The npm that came with node comes first. */
function findNpm(searchPath: string): string | null {
  const beside = join(dirname(realpathSync(process.execPath)), "npm");
  for (const candidate of [beside, ...searchPath.split(":").map((folder) => join(folder, "npm"))].filter(isProgram)) {
    const folder = dirname(dirname(realpathSync(candidate)));
    if (existsSync(join(folder, "bin/npm-cli.js"))) return folder;
  }
  return systemNpm.find((folder) => existsSync(join(folder, "bin/npm-cli.js"))) ?? null;
}

const systemNpm = ["/usr/lib/node_modules/npm", "/usr/local/lib/node_modules/npm", "/usr/share/nodejs/npm"];

/** The platform that compiled packages are made for, with the C library where it is not the usual one. */
export function platform(): string {
  const isMusl = existsSync("/lib") && readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
  return `${process.platform}-${process.arch}${isMusl ? "-musl" : ""}`;
}

function systemProgram(name: string): string | null {
  return SYSTEM_FOLDERS.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a step finds on its PATH: the interpreters that run steps come first. */
export function stepPath(nodeFolder: string, python: Python | null): string {
  const folders = [nodeFolder, ...(python ? [dirname(python.executable)] : [])];
  const system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  return [...new Set([...folders.filter((folder) => !system.includes(folder)), ...system])].join(":");
}

/** Folders at the root that a program may need to load its libraries, with where they point if they are links. */
export function systemRoots(): string[] {
  return ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"].filter((folder) => existsSync(folder));
}
