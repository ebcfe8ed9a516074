import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { isMaiaError } from "./errors.js";
import { parseJsonStrictly } from "./strict-json.js";

function refusal(text: string, depthMax = 64): { code: string; pointers: string[] } | null {
  try {
    parseJsonStrictly(text, depthMax);
    return null;
  } catch (error) {
    if (!isMaiaError(error)) throw error;
    return { code: error.code, pointers: error.issues.map(({ pointer }) => pointer) };
  }
}

describe("strict JSON", () => {
  it("reads every JSON value that survives JavaScript as JSON.parse does", () => {
    const value = fc
      .jsonValue({ maxDepth: 6 })
      .filter((json) => !/-0|__proto__|constructor|prototype|\\ud/i.test(JSON.stringify(json)));
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1), (json, indent) => {
        const text = JSON.stringify(json, null, indent);
        expect(parseJsonStrictly(text, 64)).toEqual(JSON.parse(text));
      }),
    );
  });

  it("refuses exactly what JSON.parse refuses, whatever the text", () => {
    const piece = fc.constantFrom(...'{}[],:"\\/ue0-1.5 \n', "true", "null", '"a"', "1e3", "\\u0041", "é");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const refused = refusal(text);
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (!isJson) expect(refused).not.toBeNull();
        else if (refused && refused.pointers.length === 0) throw new Error(`${text} was refused without a reason`);
      }),
      { numRuns: 2_000 },
    );
  });

  it("refuses keys that appear twice, however they are spelled, with a pointer", () => {
    expect(refusal('{"a":1,"b":{"c":1,"\\u0063":2}}')).toEqual({ code: "BAD_JSON", pointers: ["/b/c"] });
    expect(refusal('[{"a":1},{"a":1}]')).toBeNull();
  });

  it("refuses keys that mean something to JavaScript", () => {
    expect(refusal('{"__proto__":{"admin":true}}')).toEqual({ code: "INVALID", pointers: ["/__proto__"] });
    expect(refusal('{"a":[{"constructor":{"prototype":1}}]}')).toEqual({
      code: "INVALID",
      pointers: ["/a/0/constructor", "/a/0/constructor/prototype"],
    });
    expect(refusal('{"\\u005f_proto__":1}')?.code).toBe("INVALID");
    expect(refusal('{"a":"__proto__"}')).toBeNull();
  });

  it.each([
    "1e999",
    "-1e999",
    "-0",
    "-0.0",
    "9007199254740993",
    "12345678901234567890",
    "12345678901234567890.0",
    "1e-400",
  ])("refuses the number %s, which would become another one", (number) =>
    expect(refusal(`{"a":[0,${number}]}`)).toEqual({ code: "INVALID", pointers: ["/a/1"] }),
  );

  it.each([
    "0",
    "-1",
    "0.1",
    "-0.5",
    "9007199254740991",
    "9007199254740992",
    "1e21",
    "1E+5",
    "0.30000000000000004",
    "0.10000000000000001",
    "0e9",
    "1e-7",
  ])("keeps the number %s", (number) => expect(parseJsonStrictly(number, 64)).toBe(Number(number)));

  it("refuses half a character, in a string and in a key", () => {
    expect(refusal('{"a":"\\ud800"}')).toEqual({ code: "INVALID", pointers: ["/a"] });
    expect(refusal('{"\\udc00":1}')?.code).toBe("INVALID");
    expect(parseJsonStrictly('"\\ud83d\\ude00"', 64)).toBe("😀");
  });

  it("allows 64 levels and refuses the 65th, and a million of them", () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    expect(refusal(nested(64))).toBeNull();
    expect(refusal(nested(65))?.code).toBe("TOO_DEEP");
    expect(refusal("[".repeat(1_000_000))?.code).toBe("TOO_DEEP");
  });

  it("says that an empty body is no JSON", () => {
    expect(refusal("")?.code).toBe("BAD_JSON");
    expect(refusal(" \n")?.code).toBe("BAD_JSON");
  });

  it("takes a megabyte of the worst", () => {
    const worst = [
      `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":1`).join(",")}}`,
      `[${'"\\u0041",'.repeat(110_000)}1]`,
      `[${"-0,".repeat(340_000)}1]`,
      `"${"\\\\".repeat(500_000)}"`,
    ];
    expect(worst.map((text) => refusal(text)?.code)).toEqual([undefined, undefined, "INVALID", undefined]);
  });
});
