import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { AttemptLog } from "./attempt-log.js";

function collect(limits: { logLineMax: number; logAttemptMax: number }) {
  const kept: string[] = [];
  const log = new AttemptLog(limits, ({ stream, lines }) => kept.push(...lines.map((line) => `${stream}: ${line}`)));
  return { kept, log };
}

describe("the log of an attempt", () => {
  it("keeps the order of stdout and stderr as they came", () => {
    const { kept, log } = collect({ logLineMax: 100, logAttemptMax: 1_000 });
    log.write("stdout", Buffer.from("a\nb\n"));
    log.write("stderr", Buffer.from("c\n"));
    log.write("stdout", Buffer.from("d"));
    log.end();
    expect(kept).toEqual(["stdout: a", "stdout: b", "stderr: c", "stdout: d"]);
  });

  it("accounts for every line that its limit cuts, however the bytes were chunked (G14)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 8 }), { maxLength: 40 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        (texts, at) => {
          const lines = texts.map((text) => text.replaceAll("\n", "").toWellFormed());
          const all = Buffer.from(lines.map((line) => `${line}\n`).join(""));
          const { kept, log } = collect({ logLineMax: 100, logAttemptMax: 60 });
          const places = [...at.map((place) => place % (all.length + 1)), 0, all.length].sort((a, b) => a - b);
          for (const [index, from] of places.entries())
            log.write("stdout", all.subarray(from, places[index + 1] ?? all.length));
          log.end();
          const keptBytes = kept.reduce((sum, line) => sum + Buffer.byteLength(line) - "stdout: ".length, 0);
          expect(kept.length + log.droppedLines).toBe(lines.length);
          expect(keptBytes + log.droppedBytes).toBe(all.length - lines.length);
          expect(keptBytes + kept.length).toBeLessThanOrEqual(60);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("keeps the last lines of stderr at hand, to tell what a process said before it died", () => {
    const { log } = collect({ logLineMax: 100, logAttemptMax: 1_000 });
    log.write("stderr", Buffer.from(Array.from({ length: 50 }, (_, at) => `line ${at}\n`).join("")));
    expect(log.tail.at(-1)).toBe("line 49");
    expect(log.tail.length).toBeLessThanOrEqual(20);
  });
});
