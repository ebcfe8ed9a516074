import type { Move } from "./machine.js";

export type InputFileStatus = "FETCHING" | "READY" | "FAILED";
export type InputFileSource = "upload" | "url";

export const inputFileMoves = {
  fetched: { from: ["FETCHING"], to: "READY" },
  fetchFailed: { from: ["FETCHING"], to: "FAILED" },
} as const satisfies Record<string, Move<InputFileStatus>>;

export type InputFileMove = keyof typeof inputFileMoves;

/** Longest part of a file's name that is kept on disk, in bytes; with its position it stays below every NAME_MAX. */
const KEPT_NAME_BYTES = 120;

/** Where an input file lies in the run directory: its position keeps two files of one name apart. */
export function inputFilePath(position: number, name: string): string {
  const safe = name
    .toWellFormed()
    .replace(/[^\p{L}\p{N}._-]+/gu, "_")
    .replace(/^\.+/, "_");
  return `inputs/${position}-${lastBytes(safe, KEPT_NAME_BYTES) || "file"}`;
}

/** The end of a text, whose extension matters most, cut between characters. */
function lastBytes(text: string, max: number): string {
  const characters = [...text];
  let from = characters.length;
  for (let bytes = 0; from > 0; from--) {
    bytes += Buffer.byteLength(characters[from - 1]!);
    if (bytes > max) break;
  }
  return characters.slice(from).join("");
}

/** What is wrong with the address of an input file, or null. Where it may lead is for the downloader to judge. */
export function urlProblem(text: string): string | null {
  if (text.length > 8_192) return "must have at most 8192 characters";
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return "must be an http or https URL";
  const { hostname, username, password } = new URL(text);
  if (hostname === "unix") return "must not lead to a socket of this machine"; // as some clients read http://unix:/path:/
  return username || password ? "must not hold a user name or password" : null;
}
