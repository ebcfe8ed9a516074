import type { InputIssue } from "@maia/domain";

/** What a worker is asked: is this schema acceptable, or does this value fit it. Documents travel as JSON text. */
export interface Request {
  readonly ask: "check" | "validate";
  /** SHA-256 of the schema's text; the worker may know it already. */
  readonly hash: string;
  readonly schema: string | null;
  readonly value: string;
}

/** What it answers. */
export type Reply =
  | { readonly is: "done"; readonly issues: readonly InputIssue[]; readonly value: string }
  /** It does not know the schema by its hash; ask again with the text. */
  | { readonly is: "unknown" };

/** What it says first of all, once it has loaded. */
export const READY = "ready";
