import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Ledger } from "../src/ledger/ledger.js";

const HOUR = 3_600_000;
const noon = new Date("2026-11-20T12:00:00.000Z");
const later = (ms: number) => new Date(noon.getTime() + ms);

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "maia-ledger-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const dir = () => join(root, "ledger");
const open = (now = noon) => Ledger.open(dir(), { keepMs: 72 * HOUR, now });
const lastSegment = async () =>
  join(
    dir(),
    (await readdir(dir()))
      .filter((name) => name.endsWith(".ndjson"))
      .sort()
      .at(-1)!,
  );

describe("the ledger", () => {
  it("remembers attempts, their ends and the epochs of their runs across restarts, under one id", async () => {
    const { ledger } = await open();
    await Promise.all([1, 2, 3].map((no) => ledger.accept(`att_${no}`, "run_1", no, noon)));
    await ledger.raiseEpoch("run_1", 9, noon);
    await ledger.end("att_1", "ended", noon);
    await ledger.end("att_2", "lost", noon);
    await ledger.refuse("att_4", noon);
    await ledger.close();
    const { ledger: again, damaged } = await open();
    expect(damaged).toBeNull();
    expect(again.ledgerId).toBe(ledger.ledgerId);
    expect(["att_1", "att_2", "att_3", "att_4", "att_5"].map((id) => again.stateOf(id))).toEqual([
      "ended",
      "lost",
      "accepted",
      "ended",
      null,
    ]);
    expect(again.accepted()).toEqual(["att_3"]);
    expect([again.epochOf("run_1"), again.epochOf("run_2")]).toEqual([9, -1]);
    await again.close();
  });

  it("passes over a last line that a crash cut off, and goes on behind the line before", async () => {
    const { ledger } = await open();
    await ledger.accept("att_1", "run_1", 1, noon);
    await ledger.close();
    await appendFile(await lastSegment(), '{"k":"accepted","a":"att_2","r"');
    const { ledger: again, damaged } = await open();
    expect([damaged, again.stateOf("att_1"), again.stateOf("att_2")]).toEqual([null, "accepted", null]);
    await again.accept("att_3", "run_1", 1, noon);
    await again.close();
    const { ledger: third } = await open();
    expect([third.stateOf("att_1"), third.stateOf("att_3")]).toEqual(["accepted", "accepted"]);
    await third.close();
  });

  it.each([
    ["a line in the middle is no line", async () => writeFile(await lastSegment(), "garbage\n")],
    ["its id is gone", () => rm(join(dir(), "id"))],
    ["its id is cut", () => truncate(join(dir(), "id"), 5)],
  ])("begins anew under another id when %s, so that nothing that it knew starts again", async (_what, damage) => {
    const { ledger } = await open();
    await ledger.accept("att_1", "run_1", 1, noon);
    await ledger.close();
    await damage();
    const { ledger: again, damaged } = await open();
    expect(damaged).toContain("ledger.damaged-");
    expect(again.ledgerId).not.toBe(ledger.ledgerId);
    await again.close();
  });

  it("forgets whole segments once all in them is old, and nothing younger", async () => {
    const { ledger } = await open();
    await ledger.accept("att_old", "run_old", 1, noon);
    await ledger.end("att_old", "ended", noon);
    await ledger.accept("att_mid", "run_mid", 1, later(10 * HOUR)); // a new segment, an eighth of the age later
    await ledger.accept("att_new", "run_new", 1, later(60 * HOUR));
    await ledger.sweep(later(80 * HOUR));
    expect(["att_old", "att_mid", "att_new"].map((id) => ledger.stateOf(id))).toEqual([null, "accepted", "accepted"]);
    expect([ledger.epochOf("run_old"), ledger.epochOf("run_mid")]).toEqual([-1, 1]);
    await ledger.sweep(later(100 * HOUR));
    expect(ledger.stateOf("att_mid")).toBe("accepted"); // it still runs
    await ledger.end("att_mid", "ended", later(100 * HOUR));
    await ledger.sweep(later(101 * HOUR));
    expect([ledger.stateOf("att_mid"), ledger.stateOf("att_new")]).toEqual(["ended", "accepted"]); // its end is young
    await ledger.close();
    const { ledger: again } = await open(later(101 * HOUR));
    expect([again.stateOf("att_old"), again.stateOf("att_mid"), again.stateOf("att_new")]).toEqual([
      null,
      "ended",
      "accepted",
    ]);
    await again.close();
  });

  it("keeps every attempt of those that come together", async () => {
    const { ledger } = await open();
    for (let i = 0; i < 5; i++) await ledger.accept(`att_alone_${i}`, "run_1", 1, noon);
    await Promise.all(Array.from({ length: 500 }, (_, index) => ledger.accept(`att_${index}`, "run_1", 1, noon)));
    const text = await readFile(await lastSegment(), "utf8");
    expect(text.trim().split("\n")).toHaveLength(505);
    await ledger.close();
  });
});
