import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { testTitles } from "./test-titles.ts";

export const DOCS = path.join(import.meta.dirname, "../../../../docs");

export interface ProofRow {
  readonly id: string;
  readonly what: string;
  /** The cell as it is written. */
  readonly proof: string;
  readonly proofs: readonly { readonly label: string; readonly title: string }[];
  readonly more: string;
}

/** A page of `docs/` whose tables say which test proves what. */
export class ProofPage {
  /** The rows of the page's tables, a table a list. */
  readonly tables: readonly (readonly ProofRow[])[];
  readonly #text: string;
  /** `[label]: file` → the file of each label. */
  readonly #files: ReadonlyMap<string, string>;
  readonly #titles = new Map<string, readonly string[]>();

  constructor(readonly name: string) {
    this.#text = readFileSync(path.join(DOCS, name), "utf8");
    const definitions = this.#text.matchAll(/^\[([^\]]+)\]: (\S+)$/gm);
    this.#files = new Map([...definitions].map(([, label, file]) => [label!, file!]));
    this.tables = this.#text
      .split(/^## /m)
      .slice(1)
      .map((section) =>
        [...section.matchAll(/^\| *([GFB]?\d+) *\|(.*)\|$/gm)].map(([, id, rest]) => rowOf(id!, rest!)),
      );
  }

  get rows(): readonly ProofRow[] {
    return this.tables.flat();
  }

  /** Where the page leads to. */
  get links(): readonly string[] {
    const inText = [...this.#text.matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to!);
    return [...inText, ...this.#files.values()];
  }

  /** The tests that it names and that are not there. */
  absentTests(): string[] {
    return this.rows.flatMap(({ id, proofs }) =>
      proofs
        .filter(({ label, title }) => !this.#titlesIn(label).some((found) => found.includes(title)))
        .map(({ label, title }) => `${id}: [${label}] "${title}"`),
    );
  }

  #titlesIn(label: string): readonly string[] {
    const file = path.resolve(DOCS, this.#files.get(label) ?? "nowhere");
    const known = this.#titles.get(file) ?? (existsSync(file) ? testTitles(file) : []);
    this.#titles.set(file, known);
    return known;
  }
}

function rowOf(id: string, rest: string): ProofRow {
  const [what = "", proof = "", more = ""] = rest.split(/(?<!\\)\|/).map((cell) => cell.trim());
  const proofs = [...proof.matchAll(/\[([^\]]+)\] "([^"]+)"/g)].map(([, label, title]) => ({
    label: label!,
    title: title!,
  }));
  return { id, what, proof, proofs, more };
}
