import { describe, expect, it } from "@jest/globals";
import { canonicalJson, sha256Hex } from "./canonical-json.js";
import { depsHash, hasDependencies } from "./deps-hash.js";

describe("depsHash", () => {
  it("is the SHA-256 of the canonical JSON of dependency map and lockfile", () => {
    const dependencies = { npm: { "csv-parse": "^6.0.0" }, python: [] };
    expect(depsHash(dependencies, null)).toBe(
      sha256Hex('{"dependencies":{"npm":{"csv-parse":"^6.0.0"},"python":[]},"lock":null}'),
    );
    expect(depsHash(dependencies, "lock")).toBe(sha256Hex(canonicalJson({ lock: "lock", dependencies })));
  });

  it("does not depend on the order in which packages are named", () => {
    const a = depsHash({ npm: { a: "1", B: "2", 10: "3", 9: "4" }, python: [] }, null);
    const b = depsHash({ npm: { 9: "4", B: "2", a: "1", 10: "3" }, python: [] }, null);
    expect(a).toBe(b);
  });
});

describe("hasDependencies", () => {
  it("is false when there is nothing to install", () => {
    expect(hasDependencies({ npm: {}, python: [] })).toBe(false);
    expect(hasDependencies({ npm: {}, python: ["six"] })).toBe(true);
    expect(hasDependencies({ npm: { six: "1" }, python: [] })).toBe(true);
  });
});
