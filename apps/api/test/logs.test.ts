import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { OwnedRun } from "@maia/db";
import fc from "fast-check";
import { anAttempt, aRun, aWorkflow, endRun, logEvent } from "./rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
let run: OwnedRun;
const lines = Array.from({ length: 500 }, (_, i) => (i % 7 === 0 ? `Needle ${i}` : `line ${i} ☃`));

beforeAll(async () => {
  api = await openTestApi();
  run = await aRun(api, await aWorkflow(api));
  const attempt = await anAttempt(api, run);
  for (let from = 0, size = 1; from < lines.length; from += size, size = (size * 3) % 17 || 5) {
    await logEvent(api.db, run, attempt, from + 1, lines.slice(from, from + size));
  }
});

afterAll(() => api[Symbol.asyncDispose]());

const page = (query: string) => api.get(`/v1/runs/${run.id}/logs?${query}`);

async function allLines(query: string, limits: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = null;
  for (let i = 0, quiet = 0; quiet < 2; i++) {
    const { json } = await page(`${query}&limit=${limits[i % limits.length]}${cursor ? `&cursor=${cursor}` : ""}`);
    found.push(...json.items.map(({ line }: { line: string }) => line));
    quiet = json.items.length === 0 ? quiet + 1 : 0;
    cursor = json.nextCursor;
    if (cursor === null) break;
  }
  return found;
}

describe("a run's log", () => {
  it("is whole and in order, however it is cut into pages (G14)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 20, max: 1_000 }), { minLength: 1, maxLength: 5 }),
        async (limits) => {
          expect(await allLines("order=asc", limits)).toEqual(lines);
          expect(await allLines("q=needle", limits)).toEqual(lines.filter((line) => line.startsWith("Needle")));
        },
      ),
      { numRuns: 10 },
    );
  });

  it("is at hand as text, in full or page by page", async () => {
    const whole = await page("format=text");
    expect([whole.text, whole.headers.get("content-type")]).toEqual([
      `${lines.join("\n")}\n`,
      "text/plain; charset=utf-8",
    ]);
    expect(whole.headers.get("x-content-type-options")).toBe("nosniff");
    const first = await page("format=text&limit=2");
    expect(first.text).toBe(`${lines.slice(0, 2).join("\n")}\n`);
    const next = await page(`format=text&limit=1&cursor=${first.headers.get("maia-next-cursor")}`);
    expect(next.text).toBe(`${lines[2]}\n`);
  });

  it("says that more may come while the run lives, and that nothing remains once it has ended", async () => {
    const { cursor } = await lastPage();
    expect(cursor).not.toBeNull();
    await endRun(api, run);
    expect((await page(`cursor=${cursor}`)).json).toEqual({ items: [], nextCursor: null });
    expect((await page("order=desc&limit=1")).json.items[0].line).toBe(lines.at(-1));
  });

  it("can be narrowed to a step, an attempt, a stream", async () => {
    expect((await page("stepKey=second")).json.items).toEqual([]);
    expect((await page("stepKey=first&attemptNo=1&stream=stdout&limit=3")).json.items).toHaveLength(3);
    expect((await page("attemptNo=2")).json.items).toEqual([]);
    for (const odd of ["attemptNo=0", "stream=stdin", "order=up", "format=html", "limit=1001"])
      expect((await page(odd)).status).toBe(422);
    expect((await page("cursor=garbage")).json.code).toBe("BAD_CURSOR");
  });
});

async function lastPage(): Promise<{ cursor: string | null }> {
  let cursor: string | null = null;
  for (;;) {
    const { json } = await page(`limit=1000${cursor ? `&cursor=${cursor}` : ""}`);
    if (json.items.length === 0 || json.nextCursor === null) return { cursor: json.nextCursor };
    cursor = json.nextCursor;
  }
}
