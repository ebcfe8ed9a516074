import { describe, expect, it } from "@jest/globals";
import type { MaiaError } from "./errors.js";
import { Reader } from "./reader.js";

function faults(value: unknown, read: (root: Reader) => unknown): [string, string][] {
  try {
    Reader.read(value, read);
  } catch (error) {
    return (error as MaiaError).issues.map(({ pointer, message }) => [pointer, message]);
  }
  return [];
}

describe("Reader", () => {
  it("names everything that is wrong in one answer", () => {
    const found = faults({ name: 5, count: 1.5, "a/b~c": 1, list: [1, "x"] }, (root) => {
      const field = root.object(["name", "count", "list", "flag"]);
      field("name").string();
      field("count").integer(0, 10);
      field("list")
        .items(10)
        .map((item) => item.string());
      field("flag").boolean(true);
    });
    expect(found).toEqual([
      ["/a~1b~0c", "is not a known field"],
      ["/name", "must be a string, got a number"],
      ["/count", "must be an integer from 0 to 10, got 1.5"],
      ["/list/0", "must be a string, got a number"],
    ]);
  });

  it("tells a fault once, however often its place is read", () => {
    const found = faults({}, (root) => {
      const field = root.object(["name"]);
      field("name").string();
      field("name").string();
      field("name").fail("is too short");
    });
    expect(found).toEqual([
      ["/name", "is required"],
      ["/name", "is too short"],
    ]);
  });

  it("lists at most 100 issues", () => {
    const found = faults(Array.from({ length: 500 }), (root) => root.items(1_000).map((item) => item.string()));
    expect(found).toHaveLength(100);
  });

  it.each([Number.POSITIVE_INFINITY, -1, 1.5, 2 ** 31, 2 ** 53 + 2, "5", null, true, [], {}])(
    "takes no %p for an integer (B029)",
    (value) => {
      expect(faults(value, (root) => root.integer(0, 100))).toHaveLength(1);
    },
  );

  it("reads -0 as 0 (B029)", () => {
    expect(Reader.read(-0, (root) => Object.is(root.integer(-1, 1), 0))).toBe(true);
  });

  it.each([{ not: "" }, { contains: "" }, [], null, true, 5])("takes no %p for a string (B031)", (value) => {
    expect(faults(value, (root) => root.string())).toHaveLength(1);
  });

  it("refuses keys that mean something else to JavaScript, at any depth (B025)", () => {
    const value = JSON.parse('{"a":[{"__proto__":{"admin":true}}],"constructor":{"prototype":{}}}');
    expect(faults(value, (root) => root.jsonObject()).map(([pointer]) => pointer)).toEqual([
      "/a/0/__proto__",
      "/constructor",
    ]);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it("refuses JSON that is too deep or not well-formed, without running out of stack", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = { deep };
    expect(faults(deep, (root) => root.jsonObject())).toHaveLength(1);
    expect(
      faults({ a: "\ud800", b: Number.POSITIVE_INFINITY, c: undefined }, (root) => root.jsonObject()),
    ).toHaveLength(3);
  });

  it("does not take a member that an object merely inherits", () => {
    expect(Reader.read({}, (root) => root.object(["toString"])("toString").isAbsent)).toBe(true);
  });
});
