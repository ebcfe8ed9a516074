/** How deep an output document may be. Source: guarantees, JSON_DEPTH_MAX. */
export const MAX_DEPTH = 64;

const MAX_PATH_BYTES = 2_048;
const MAX_NAME_BYTES = 255; // of one folder or file, as file systems have it

const utf8 = new TextEncoder();

/** True for a JSON object, and not a list or null. */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for a whole number from `min` on that JSON carries exactly. */
export function isInteger(value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

/** True for 64 lower-case hexadecimal digits. */
export function isSha256(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

/** True for an id that may stand in a URL and in a file name. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(value);
}

/** What is wrong with a relative path that must stay below where it starts, or null. */
export function pathProblem(path: string): string | null {
  if (path === "") return "must not be empty";
  if (!path.isWellFormed()) return "must be well-formed Unicode";
  if (/[\p{Cc}\\]/u.test(path)) return "must not hold control characters or backslashes";
  if (utf8.encode(path).length > MAX_PATH_BYTES) return `must have at most ${MAX_PATH_BYTES} bytes`;
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    return "must be a relative path without empty parts, . or ..";
  }
  if (parts.some((part) => utf8.encode(part).length > MAX_NAME_BYTES)) {
    return `must have at most ${MAX_NAME_BYTES} bytes between slashes`;
  }
  return null;
}

/** What is wrong with an output document, or null. What passes can be written as JSON again and means the same. */
export function outputProblem(data: unknown): string | null {
  return isObject(data) ? valueProblem(data, 1) : "must be an object";
}

function valueProblem(value: unknown, depth: number): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : "must hold finite numbers only";
  if (typeof value !== "object" || value === null) return null;
  if (depth > MAX_DEPTH) return `must not be deeper than ${MAX_DEPTH} levels`;
  for (const [key, member] of Object.entries(value)) {
    if (key === "__proto__") return "must not have a member named __proto__";
    const problem = valueProblem(member, depth + 1);
    if (problem) return problem;
  }
  return null;
}
