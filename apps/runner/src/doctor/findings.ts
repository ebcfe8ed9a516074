/** What can keep a runner from working, from the bottom up. Source: docs/guides/runners.md, "When it does not connect". */
export const layers = [
  "configuration",
  "dns",
  "tcp",
  "tls",
  "clock",
  "credentials",
  "protocol",
  "isolation",
  "disk",
] as const;

export type Layer = (typeof layers)[number];

/** What was found out about a layer. */
export interface Finding {
  readonly layer: Layer;
  /** `skipped`: it does not apply here, or a layer below it failed. */
  readonly status: "ok" | "failed" | "skipped";
  readonly detail: string;
  /** What to do; null unless it failed. */
  readonly fix: string | null;
}

export interface Diagnosis {
  readonly ok: boolean;
  /** The lowest layer that failed; null: none did. */
  readonly firstFailure: Layer | null;
  readonly findings: readonly Finding[];
}

/** A layer that fails, and what to do about it. */
export class Trouble extends Error {
  override readonly name = "Trouble";

  constructor(
    message: string,
    readonly fix: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A layer that does not apply here. */
export class NotNeeded extends Error {
  override readonly name = "NotNeeded";
}
