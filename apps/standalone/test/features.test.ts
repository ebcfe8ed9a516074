import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import { testTitles } from "./support/test-titles.ts";

const DOCS = path.join(import.meta.dirname, "../../../docs");
const PAGE = readFileSync(path.join(DOCS, "features.md"), "utf8");

interface Row {
  readonly no: number;
  readonly what: string;
  readonly proof: string;
  readonly reach: string;
}

/** The rows of the page's tables, a table a list. */
const tables: Row[][] = PAGE.split(/^## /m)
  .slice(1)
  .map((section) =>
    [...section.matchAll(/^\| *(\d+) *\|(.*)\|$/gm)].map(([, no, rest]) => {
      const [what = "", proof = "", reach = ""] = rest!.split(/(?<!\\)\|/).map((cell) => cell.trim());
      return { no: Number(no), what, proof, reach };
    }),
  );

/** `[label]: file` → the file of each label. */
const files = new Map([...PAGE.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)].map(([, label, file]) => [label!, file!]));

const namedTests = ({ proof }: Row) =>
  [...proof.matchAll(/\[([^\]]+)\] "([^"]+)"/g)].map(([, label, title]) => ({ label: label!, title: title! }));

const titles = new Map<string, string[]>();
function titlesIn(label: string): string[] {
  const file = path.resolve(DOCS, files.get(label) ?? "nowhere");
  const known = titles.get(file) ?? (existsSync(file) ? testTitles(file) : []);
  titles.set(file, known);
  return known;
}

describe("docs/features.md", () => {
  const rows = tables.flat();

  it("has every number from 110 to 165 once, in order", () => {
    const wanted = Array.from({ length: 165 - 110 + 1 }, (_, i) => 110 + i);
    expect(tables[0]!.map(({ no }) => no)).toEqual(wanted);
    expect(tables[1]!.length).toBeGreaterThan(0);
  });

  it("has every number from 1 to 98 of the runners once, in order", () => {
    expect(tables.at(-1)!.map(({ no }) => no)).toEqual(Array.from({ length: 98 }, (_, i) => i + 1));
  });

  it("names a test in every row, or says what is missing, or why it has no place here", () => {
    const isOwned = ({ proof, reach }: Row) =>
      (proof === "later" && /^Later: ./.test(reach)) || (proof === "not here" && /^Not here: ./.test(reach));
    const silent = rows.filter((row) => row.what === "" || (namedTests(row).length === 0 && !isOwned(row)));
    expect(silent).toEqual([]);
  });

  it("says nothing in a proof but which tests", () => {
    const tests = /\[[^\]]+\] "[^"]+"(<br>)?/g;
    expect(
      rows.map(({ proof }) => proof.replace(tests, "")).filter((rest) => !["", "later", "not here"].includes(rest)),
    ).toEqual([]);
  });

  it("names tests that are there", () => {
    const absent = rows.flatMap((row) =>
      namedTests(row)
        .filter(({ label, title }) => !titlesIn(label).some((found) => found.includes(title)))
        .map(({ label, title }) => `${row.no}: [${label}] "${title}"`),
    );
    expect(absent).toEqual([]);
  });

  it("leads only to pages that are there", () => {
    const links = [...PAGE.matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to!);
    expect([...links, ...files.values()].filter((to) => !existsSync(path.resolve(DOCS, to)))).toEqual([]);
  });
});
