import type { InputIssue } from "@maia/domain";

/**
 * What a worker is asked: is this schema acceptable, does this value fit it, do the values of this list. Documents travel
 * as JSON text.
 */
export interface Request {
  readonly ask: "check" | "validate" | "validateAll";
  /** SHA-256 of the schema's text; the worker may know it already. */
  readonly hash: string;
  readonly schema: string | null;
  readonly value: string;
}

/** What is wrong with a value, and the value with its defaults filled in. */
export interface Verdict {
  readonly issues: readonly InputIssue[];
  readonly value: string;
}

/** What it answers. */
export type Reply =
  | { readonly is: "done"; readonly issues: readonly InputIssue[]; readonly value: string }
  /** One per value of the list. */
  | { readonly is: "all"; readonly verdicts: readonly Verdict[] }
  /** It does not know the schema by its hash; ask again with the text. */
  | { readonly is: "unknown" };

/** What it says first of all, once it has loaded. */
export const READY = "ready";
