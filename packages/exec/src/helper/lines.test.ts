import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { LineSplitter } from "./lines.js";

const MAX = 16;

/** Any bytes, with many newlines, long runs, characters of all lengths, and what is no UTF-8. */
const bytes = fc
  .array(
    fc.oneof(
      fc
        .constantFrom("\n", "\r\n", "é", "€", "😀", "\u0000", "\ufeff", "a".repeat(40), "€".repeat(20))
        .map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 6 }).map((raw) => Buffer.from(raw)),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.concat(parts));

const cuts = fc.array(fc.nat(), { maxLength: 12 });

function split(all: Buffer, at: readonly number[], maxBytes = MAX): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(maxBytes, (line) => lines.push(line));
  const places = [...at.map((place) => place % (all.length + 1)), 0, all.length].sort((a, b) => a - b);
  for (const [index, from] of places.entries()) splitter.push(all.subarray(from, places[index + 1] ?? all.length));
  splitter.end();
  return lines;
}

describe("the lines of a step's output", () => {
  it("are the same however the bytes were chunked (G14)", () => {
    fc.assert(
      fc.property(bytes, cuts, (all, at) => {
        expect(split(all, at)).toEqual(split(all, []));
      }),
      { numRuns: 2_000 },
    );
  });

  it("hold the text and nothing else, when none is too long", () => {
    fc.assert(
      fc.property(bytes, cuts, (all, at) => {
        const expected = new TextDecoder("utf-8", { ignoreBOM: true }).decode(all).split("\n");
        if (expected.at(-1) === "") expected.pop();
        expect(split(all, at, 1_000_000)).toEqual(expected);
      }),
    );
  });

  it("are never longer than allowed, and their pieces make up the line", () => {
    fc.assert(
      fc.property(bytes, cuts, (all, at) => {
        const pieces = split(all, at);
        for (const piece of pieces) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(MAX);
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
        expect(pieces.join("")).toBe(text.replaceAll("\n", ""));
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      }),
    );
  });

  it("include a last one without a newline (A21)", () => {
    expect(split(Buffer.from("one\ntwo"), [])).toEqual(["one", "two"]);
    expect(split(Buffer.from("one\ntwo\n"), [])).toEqual(["one", "two"]);
    expect(split(Buffer.from("\n\n"), [])).toEqual(["", ""]);
  });

  it("have U+FFFD for what is no UTF-8, also at the very end", () => {
    expect(split(Buffer.from([0x61, 0xff, 0x62, 0x0a, 0xe2, 0x82]), [5])).toEqual(["a\ufffdb", "\ufffd"]);
  });
});
