/** Keys that a JSON object may not have: they mean something else to JavaScript. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/** True for a member name that no JSON from outside may carry. */
export function isForbiddenKey(key: string): boolean {
  return FORBIDDEN_KEYS.has(key);
}

/** True for the name of a workflow: a-z 0-9 -, 1 to 63, beginning with a letter or digit. */
export function isSlug(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,62}$/.test(text);
}

/** True for the key of a step or the name of a transaction: a-z 0-9 _ -, 1 to 63, and no word that JavaScript reserves. */
export function isStepKey(text: string): boolean {
  return /^[a-z0-9_][a-z0-9_-]{0,62}$/.test(text) && !FORBIDDEN_KEYS.has(text);
}

/** True for the name of an output or of a field of a step's data. */
export function isIdentifier(text: string, maxLength: number): boolean {
  return text.length <= maxLength && /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) && !FORBIDDEN_KEYS.has(text);
}

/** True for 64 lower-case hexadecimal digits. */
export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/**
 * What is wrong with a name that people read (of a project, a step, a runner), or null. Nothing invisible is allowed in
 * one, since two names that look the same must be the same.
 */
export function nameProblem(text: string, maxLength: number): string | null {
  if (text.trim() === "") return "must not be empty";
  if (text.length > maxLength) return `must have at most ${maxLength} characters`;
  if (!text.isWellFormed()) return "must be well-formed Unicode";
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)) return "must not hold control, direction or invisible characters";
  if (text !== text.trim()) return "must not begin or end with a space";
  if (text !== text.normalize("NFC")) return "must be in Unicode's composed form (NFC)";
  return null;
}

/** The same for a name by which something can be asked for over HTTP. */
export function addressNameProblem(text: string, maxLength: number): string | null {
  if (text === "." || text === "..") return "must be more than dots, which an address takes for a folder";
  return nameProblem(text, maxLength);
}

/** What is wrong with a longer text, such as a description, or null. Lines and tabs are fine. */
export function textProblem(text: string, maxLength: number): string | null {
  if (text.length > maxLength) return `must have at most ${maxLength} characters`;
  if (!text.isWellFormed()) return "must be well-formed Unicode";
  if (/[^\P{Cc}\t\n\r]/u.test(text)) return "must not hold control characters";
  return null;
}

/** Joiners that several scripts need inside words. */
const JOINERS = /[\u200c\u200d]/g;

/** What is wrong with the name of a file that somebody brought, or null. A name, not a path. */
export function fileNameProblem(text: string): string | null {
  if (text === "." || text === ".." || /[/\\]/.test(text)) return "must be a file name, not a path";
  const plain = text.replace(JOINERS, "");
  if (plain.normalize("NFC") !== plain) return nameProblem(plain.normalize("NFC"), 255); // macOS decomposes names
  return nameProblem(plain, 255);
}

/** What is wrong with the name of an artifact, or null. A relative path that stays below where it starts. */
export function artifactNameProblem(text: string): string | null {
  if (text === "" || text.length > 1024) return "must have 1 to 1024 characters";
  if (!text.isWellFormed()) return "must be well-formed Unicode";
  if (/[\p{Cc}\\]/u.test(text)) return "must not hold control characters or backslashes";
  const parts = text.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return "must be a relative path without . or ..";
  if (parts.some((part) => Buffer.byteLength(part) > 255)) return "must have at most 255 bytes between slashes";
  return null;
}

const RESERVED_VARIABLES = new Set(["PATH", "HOME", "NODE_OPTIONS", "PYTHONSTARTUP", "BASH_ENV"]);

/** What is wrong with the name of an environment variable or a secret, or null. */
export function variableNameProblem(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
    return "must be a variable name: letters, digits and _, at most 128";
  if (RESERVED_VARIABLES.has(name) || name.startsWith("MAIA_") || name.startsWith("LD_")) return `${name} is reserved`;
  return null;
}

/** Largest value of an environment variable, in bytes. */
export const VARIABLE_VALUE_MAX = 32 * 1024;
/** Most environment variables in one map. */
export const VARIABLES_MAX = 256;

/** A shorter secret would have to be masked wherever its few characters stand. */
const SECRET_MIN_CHARS = 4;

/** What is wrong with the value of a secret, or null. It never shows the value. */
export function secretValueProblem(value: string): string | null {
  if ([...value.trim()].length < SECRET_MIN_CHARS)
    return `must have at least ${SECRET_MIN_CHARS} characters, not counting spaces around them, so that it can be masked in logs`;
  return variableValueProblem(value);
}

/** What is wrong with the value of an environment variable, or null. */
export function variableValueProblem(value: string): string | null {
  if (!value.isWellFormed()) return "must be well-formed Unicode";
  if (value.includes("\0")) return "must not hold NUL";
  if (Buffer.byteLength(value) > VARIABLE_VALUE_MAX) return `must have at most ${VARIABLE_VALUE_MAX} bytes`;
  return null;
}
