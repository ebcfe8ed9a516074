import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { inputFilePath, urlProblem } from "./input-file.js";

describe("inputFilePath", () => {
  it("stays in the inputs folder, for any name at all", () => {
    fc.assert(
      fc.property(fc.nat(999), fc.string({ unit: "binary", maxLength: 400 }), (position, name) => {
        const path = inputFilePath(position, name);
        const [folder, file, ...rest] = path.split("/");
        expect([folder, rest]).toEqual(["inputs", []]);
        expect(file).toMatch(/^\d+-[\p{L}\p{N}._-]+$/u);
        expect(Buffer.byteLength(file!)).toBeLessThanOrEqual(200);
        expect(path.isWellFormed()).toBe(true);
      }),
    );
  });

  it("keeps the end of a long name, where its extension is", () => {
    expect(inputFilePath(2, `${"x".repeat(500)}.csv`)).toMatch(/^inputs\/2-x+\.csv$/);
    expect(inputFilePath(0, "報".repeat(200))).toBe(`inputs/0-${"報".repeat(40)}`);
  });
});

describe("urlProblem", () => {
  it.each([
    "file:///etc/passwd",
    "ftp://a/b",
    "gopher://a",
    "data:,x",
    "unix:/x",
    "javascript:1",
    "a/b",
    "",
    "http://unix:/x:/",
    "http://",
  ])("refuses %p (B076)", (url) => {
    expect(urlProblem(url)).not.toBeNull();
  });

  it("refuses a password in the address, which would be kept and shown", () => {
    expect(urlProblem("https://user:secret@example.com/")).not.toBeNull();
  });

  it.each(["http://example.com/a.csv", "HTTPS://example.com?x=1#y"])("takes %p", (url) => {
    expect(urlProblem(url)).toBeNull();
  });
});
