const LONGEST_BYTES = 1_024;
const LONGEST_PART_BYTES = 255;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Why a text cannot name a file below a folder; null when it can. The words follow "the file …". */
export function nameProblem(name: string): string | null {
  if (name === "") return "has an empty name";
  if (!name.isWellFormed() || name.includes("\ufffd")) return "has a name that is no text";
  if (CONTROL.test(name)) return "has a name with control characters";
  if (Buffer.byteLength(name) > LONGEST_BYTES) return "has a name that is too long";
  const parts = name.split("/");
  if (parts[0] === "") return "has an absolute name";
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "has a name that leads elsewhere";
  if (parts.some((part) => Buffer.byteLength(part) > LONGEST_PART_BYTES)) return "has a name that is too long";
  return null;
}
