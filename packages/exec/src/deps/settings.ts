import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DepsOptions } from "../options.js";

/** Where installs look for packages, and what they need to get there. Nothing else of the machine's settings is taken. */
export interface InstallSettings {
  /** Lines for npm's configuration file. */
  readonly npm: readonly string[];
  /** Variables for pip. */
  readonly pip: Readonly<Record<string, string>>;
  /** Proxies. */
  readonly proxies: Readonly<Record<string, string>>;
  /** Files and folders of the machine that the settings name. */
  readonly reads: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;

const NPM_NAMES =
  /^(registry|@[^:]+:registry|\/\/.*|cafile|ca|strict-ssl|proxy|https-proxy|noproxy|before|min-release-age)$/;
const NPM_FROM_ENV = ["registry", "cafile", "strict_ssl", "proxy", "https_proxy", "noproxy"];
const PIP_NAMES = [
  ...["index-url", "extra-index-url", "find-links", "no-index"],
  ...["trusted-host", "cert", "proxy", "default-timeout", "timeout", "retries"],
];
/** What a configured index stands in place of. */
const PIP_PLACES = ["index-url", "extra-index-url", "find-links", "no-index"];
const PROXIES = /^(https?|no|all)_proxy$/i;

/** Reads the machine's own settings; a registry or index that Maia was told stands before them. */
export function readSettings({ npmRegistry, pythonIndex }: DepsOptions, env: Env): InstallSettings {
  const npm = npmLines(env);
  if (npmRegistry !== null) npm.set("registry", npmRegistry);
  const pip = pipSettings(env);
  if (pythonIndex !== null) {
    for (const name of PIP_PLACES) pip.delete(name);
    pip.set("index-url", pythonIndex);
    const { protocol, hostname } = new URL(pythonIndex);
    if (protocol === "http:") pip.set("trusted-host", hostname);
  }
  const proxies = Object.entries(env).filter(([name, value]) => PROXIES.test(name) && value);
  return {
    npm: [...npm].map(([name, value]) => `${name}=${value}`),
    pip: Object.fromEntries([...pip].map(([name, value]) => [`PIP_${name.toUpperCase().replaceAll("-", "_")}`, value])),
    proxies: Object.fromEntries(proxies) as Record<string, string>,
    reads: [npm.get("cafile"), ...[...pip.values()].flatMap((value) => value.split(/\s+/))].flatMap(pathIn),
  };
}

function npmLines(env: Env): Map<string, string> {
  const own = env.npm_config_userconfig || `${env.HOME ?? ""}/.npmrc`;
  const lines = new Map<string, string>();
  for (const file of ["/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", own]) {
    for (const line of read(file).split("\n")) {
      const [, name = "", value = ""] = /^\s*([^=#;\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (NPM_NAMES.test(name))
        lines.set(
          name,
          value.replace(/\$\{(\w+)\}/g, (all, word) => env[word] ?? all),
        );
    }
  }
  for (const name of NPM_FROM_ENV) {
    const value = env[`npm_config_${name}`];
    if (value) lines.set(name.replaceAll("_", "-"), value);
  }
  return lines;
}

function pipSettings(env: Env): Map<string, string> {
  const home = env.HOME ?? "";
  const found = new Map<string, string>();
  const config = `${env.XDG_CONFIG_HOME || `${home}/.config`}/pip/pip.conf`;
  for (const file of ["/etc/pip.conf", `${home}/.pip/pip.conf`, config, env.PIP_CONFIG_FILE ?? ""]) {
    for (const [name, value] of iniOf(read(file))) if (PIP_NAMES.includes(name)) found.set(name, value);
  }
  for (const name of PIP_NAMES) {
    const value = env[`PIP_${name.toUpperCase().replaceAll("-", "_")}`];
    if (value) found.set(name, value);
  }
  return found;
}

/** The settings of the sections that concern an install. A value may go on in indented lines. */
function iniOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let section = "";
  let name = "";
  for (const line of text.split("\n")) {
    const header = /^\[(.*)\]/.exec(line);
    const setting = /^([\w-]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (header) section = header[1]!;
    else if (section !== "global" && section !== "install") continue;
    else if (setting) {
      name = setting[1]!.replaceAll("_", "-");
      found.set(name, setting[2]!);
    } else if (/^\s+[^\s#;]/.test(line) && name !== "") found.set(name, `${found.get(name)} ${line.trim()}`.trim());
  }
  return found;
}

function pathIn(value: string | undefined): string[] {
  if (!value) return [];
  if (value.startsWith("/")) return existsSync(value) ? [value] : [];
  if (!value.startsWith("file:///")) return [];
  const path = fileURLToPath(value);
  // An index of files refers to packages that lie beside it.
  return existsSync(path) ? [path.replace(/\/simple\/?$/, "")] : [];
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
