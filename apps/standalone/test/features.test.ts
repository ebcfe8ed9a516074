import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import { DOCS, ProofPage } from "./support/proof-page.ts";

const features = new ProofPage("features.md");
const guarantees = new ProofPage("guarantees.md");

describe.each([features, guarantees])("docs/$name", (page) => {
  it("names a test in every row, or says what is missing", () => {
    const silent = page.rows.filter(
      ({ what, proof, proofs, more }) =>
        what === "" ||
        (proofs.length === 0 &&
          !(proof === "later" && /^Later: ./.test(more)) &&
          !(proof === "not applicable" && /^Does not apply: ./.test(more))),
    );
    expect(silent).toEqual([]);
  });

  it("says nothing in a proof but which tests", () => {
    const tests = /\[[^\]]+\] "[^"]+"(<br>)?/g;
    const rest = page.rows.map(({ proof }) => proof.replace(tests, ""));
    expect(rest.filter((words) => !["", "later", "not applicable"].includes(words))).toEqual([]);
  });

  it("names tests that are there", () => {
    expect(page.absentTests()).toEqual([]);
  });

  it("leads only to pages that are there", () => {
    expect(page.links.filter((to) => !existsSync(path.resolve(DOCS, to)))).toEqual([]);
  });
});

describe("docs/features.md", () => {
  it("has every number from 110 to 165 once, in order", () => {
    const wanted = Array.from({ length: 165 - 110 + 1 }, (_, i) => String(110 + i));
    expect(features.tables[0]!.map(({ id }) => id)).toEqual(wanted);
    expect(features.tables[1]!.length).toBeGreaterThan(0);
  });

  it("has every number from 1 to 98 of the runners once, in order", () => {
    const runners = features.tables.at(-1)!.map(({ id }) => id);
    expect(runners).toEqual(Array.from({ length: 98 }, (_, i) => String(1 + i)));
  });
});

describe("docs/guarantees.md", () => {
  it("has every guarantee from G1 to G34 once, and every fault and bad input once, in order", () => {
    const [promises = [], faults = [], badInput = []] = guarantees.tables.map((rows) => rows.map(({ id }) => id));
    expect(promises).toEqual(Array.from({ length: 34 }, (_, i) => `G${i + 1}`));
    for (const [ids, letter, count] of [
      [faults, "F", 55],
      [badInput, "B", 90],
    ] as const) {
      expect(ids).toHaveLength(count);
      expect(ids.filter((id) => !id.startsWith(letter))).toEqual([]);
      expect(ids).toEqual([...new Set(ids)].toSorted());
    }
  });

  it("names no table of bad input that is not run", () => {
    const folder = path.resolve(DOCS, "../apps/api/test");
    const runner = readFileSync(path.join(folder, "bad-input.test.ts"), "utf8");
    const tables = readdirSync(path.join(folder, "bad-input")).filter((name) => name !== "row.ts");
    const idle = tables.filter((name) => !runner.includes(`./bad-input/${name.replace(/\.ts$/, ".js")}`));
    expect([tables.length > 0, idle]).toEqual([true, []]);
  });
});
