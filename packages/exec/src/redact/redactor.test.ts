import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { LineSplitter } from "../helper/lines.js";
import { formsOf } from "./forms.js";
import { Redactor } from "./redactor.js";

/** Few letters, so that values overlap one another and themselves. */
const value = fc.string({ unit: fc.constantFrom("a", "b", "\n"), minLength: 4, maxLength: 7 });
const values = fc.array(value, { minLength: 1, maxLength: 3 });
const text = fc
  .array(fc.oneof(value, fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), maxLength: 4 })), { maxLength: 8 })
  .map((parts) => parts.join(""));
const secret = fc.string({ unit: "grapheme", minLength: 8, maxLength: 40 }).filter((s) => s.trim().length >= 8);

/** What should become of a text, by looking at each character. */
function byHand(text: string, values: readonly string[]): string {
  const covered = new Set<number>();
  for (const form of values.flatMap(formsOf))
    for (let at = 0; at < text.length; at++)
      if (text.startsWith(form, at)) for (let i = at; i < at + form.length; i++) covered.add(i);
  let out = "";
  for (let at = 0; at < text.length; at++) out += covered.has(at) ? (covered.has(at - 1) ? "" : "***") : text[at];
  return out;
}

function inPieces(redactor: Redactor, text: string, cuts: readonly number[]): string {
  const stream = redactor.stream();
  let out = "";
  let from = 0;
  for (const cut of [...cuts].map((cut) => cut % (text.length + 1)).sort((a, b) => a - b)) {
    out += stream.push(text.slice(from, cut));
    from = cut;
  }
  return out + stream.push(text.slice(from)) + stream.end();
}

describe("the redactor", () => {
  it("masks exactly what belongs to a value, also where values overlap (G32)", () => {
    fc.assert(
      fc.property(text, values, (text, values) => {
        expect(Redactor.of(values)!.text(text)).toBe(byHand(text, values));
      }),
      { numRuns: 1_000 },
    );
  });

  it("gives the same for every way of cutting the text (T8)", () => {
    fc.assert(
      fc.property(text, values, fc.array(fc.nat(), { maxLength: 12 }), (text, values, cuts) => {
        const redactor = Redactor.of(values)!;
        expect(inPieces(redactor, text, cuts)).toBe(redactor.text(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives the same for every way of cutting the bytes into chunks, and lines at their limit (B124)", () => {
    fc.assert(
      fc.property(
        secret,
        fc.array(fc.integer({ min: 1, max: 9 })),
        fc.integer({ min: 8, max: 40 }),
        (secret, sizes, max) => {
          const bytes = Buffer.from(`before ${secret}${secret} after\n${secret}\n`);
          const lines: string[] = [];
          const splitter = new LineSplitter(max, (line) => lines.push(line), Redactor.of([secret])!.stream());
          let at = 0;
          for (const size of sizes) {
            splitter.push(bytes.subarray(at, at + size));
            at += size;
          }
          splitter.push(bytes.subarray(at));
          splitter.end();
          const whole = Redactor.of([secret])!.text(bytes.toString());
          expect(lines.join("").replaceAll("\n", "")).toBe(whole.replaceAll("\n", ""));
        },
      ),
    );
  });

  it("knows a value in base64 at any place, in URLs and in JSON", () => {
    fc.assert(
      fc.property(secret, fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), (secret, before, after) => {
        const redactor = Redactor.of([secret])!;
        const encoded = (text: string, as: "base64" | "base64url") => Buffer.from(text).toString(as);
        for (const as of ["base64", "base64url"] as const) {
          expect(redactor.text(encoded(secret, as))).toBe("***");
          expect(redactor.text(encoded(before + secret + after, as))).toContain("***");
        }
        for (const form of [
          encodeURIComponent(secret),
          JSON.stringify(secret).slice(1, -1),
          new URLSearchParams({ secret }).toString().slice(7),
        ])
          expect(redactor.text(`<${form}>`)).toBe("<***>");
      }),
    );
  });

  it("masks names, texts and numbers in JSON, and the beginning of a value where a text was cut", () => {
    const redactor = Redactor.of(["123456", "swordfish"])!;
    expect(redactor.json({ a: 123456, b: [0.5, true, null, "x swordfish"], swordfish: 1234567, c: 12345 })).toEqual({
      a: "***",
      b: [0.5, true, null, "x ***"],
      "***": "***7",
      c: 12345,
    });
    expect(redactor.cutText("it was swordf")).toBe("it was ***");
    expect(redactor.cutText("it was swo")).toBe("it was swo");
  });

  it("masks each longer line of a value of several lines, and base64 that is broken into lines", () => {
    const key = `-----BEGIN KEY-----\n${"k".repeat(50)}1\n${"m".repeat(50)}2\n-----END KEY-----\n`;
    const redactor = Redactor.of([key])!;
    expect(redactor.text(`a ${"m".repeat(50)}2 b`)).toBe("a *** b");
    expect(redactor.text(`<${Buffer.from(key).toString("base64").replace(/.{76}/g, "$&\n")}>`)).toBe("<***>");
  });

  it("is not there where there are no secrets", () => {
    expect(Redactor.of([])).toBeNull();
  });

  it("lets a line go as soon as no value can begin in it", () => {
    const stream = Redactor.of(["swordfish"])!.stream();
    expect(stream.push("progress 10 %\n")).toBe("progress 10 %\n");
    expect(stream.push("it is sword")).toBe("it is ");
    expect(stream.push("play\n")).toBe("swordplay\n");
  });
});
