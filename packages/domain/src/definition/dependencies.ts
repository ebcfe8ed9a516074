import type { Dependencies } from "../deps-hash.js";
import { isForbiddenKey } from "../names.js";
import type { Reader } from "../reader.js";

/** Most packages of each kind. */
const PACKAGES_MAX = 500;
const SPEC_MAX_CHARS = 256;

/** The packages that a workflow asks for. Only names and versions of a registry: no URL, path, alias or option. */
export function readDependencies(place: Reader): Dependencies {
  if (place.isAbsent) return { npm: {}, python: [] };
  const field = place.object(["npm", "python", "allowScripts"]);
  const allowScripts = readAllowed(field("allowScripts"));
  return {
    npm: readNpm(field("npm")),
    python: readPython(field("python")),
    ...(allowScripts.length > 0 ? { allowScripts } : {}),
  };
}

/** The packages whose install scripts may run; they may be those that others bring along. */
function readAllowed(place: Reader): string[] {
  const names = place
    .items(PACKAGES_MAX)
    .map((item) =>
      item.string((name) => (isNpmName(name) ? null : "is not the name of a package in the npm registry")),
    );
  return [...new Set(names)].sort();
}

function readNpm(place: Reader): { [name: string]: string } {
  const packages: { [name: string]: string } = {};
  for (const [name, range] of place.entries(PACKAGES_MAX)) {
    if (!isNpmName(name)) range.fail("is not the name of a package in the npm registry");
    else
      packages[name] = range.string((text) =>
        isSemverRange(text) ? null : "must be a range of versions, such as ^1.2.0",
      );
  }
  return packages;
}

function readPython(place: Reader): string[] {
  const seen = new Set<string>();
  return place.items(PACKAGES_MAX).map((item) => {
    const requirement = item.string((text) =>
      isRequirement(text) ? null : "must be a package name with version specifiers, such as pandas>=2",
    );
    const name =
      /^[A-Za-z0-9._-]+/
        .exec(requirement)?.[0]
        .toLowerCase()
        .replace(/[-_.]+/g, "-") ?? "";
    if (name !== "" && seen.has(name)) item.fail(`${name} is listed twice`);
    seen.add(name);
    return requirement;
  });
}

/** True for a name that the npm registry can hold, with or without a scope. */
export function isNpmName(name: string): boolean {
  if (name.length > 214 || name === "node_modules" || name === "favicon.ico") return false;
  const part = "[A-Za-z0-9~][A-Za-z0-9._~-]*";
  return new RegExp(`^(?:@${part}/)?${part}$`).test(name) && !isForbiddenKey(name);
}

/** True for one line of printable ASCII that is no longer than anyone needs. */
function isPlain(text: string): boolean {
  return text.length <= SPEC_MAX_CHARS && /^[\x20-\x7e]+$/.test(text);
}

const PARTIAL = /^v?(?:\d{1,16}|[xX*])(?:\.(?:\d{1,16}|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** True for a range of semantic versions as node's semver reads it; tags such as `latest` are none. */
export function isSemverRange(text: string): boolean {
  if (!isPlain(text)) return false;
  return text.split("||").every((range) => {
    const hyphen = range.trim().split(/\s+-\s+/);
    if (hyphen.length === 2) return hyphen.every((part) => PARTIAL.test(part));
    const comparators = range
      .trim()
      .replace(/([<>=~^])\s+/g, "$1")
      .split(/\s+/);
    return comparators.every((comparator) => PARTIAL.test(comparator.replace(/^(?:[<>]=?|=|~>?|\^)/, "")));
  });
}

const VERSION_CLAUSE = /^(?:~=|===?|!=|<=?|>=?)\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]*$/;

/** True for a requirement of PEP 508 that has only a name, extras and version specifiers. */
export function isRequirement(text: string): boolean {
  if (!isPlain(text)) return false;
  const name = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?";
  const parts = new RegExp(`^${name}(?: ?\\[${name}(?: ?, ?${name})*\\])? ?`).exec(text);
  if (!parts) return false;
  const versions = text.slice(parts[0].length);
  return versions === "" || versions.split(",").every((clause) => VERSION_CLAUSE.test(clause.trim()));
}
