import { describe, expect, it } from "@jest/globals";
import { CliError } from "../errors.js";
import { readYaml } from "./read-yaml.js";

function faultsOf(text: string): string[] {
  try {
    readYaml(text, "w.yaml");
    return [];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [error.message, ...(error.problem.errors ?? []).map(({ message }) => message)];
  }
}

describe("reading YAML", () => {
  it("takes the types of JSON, as YAML 1.2 writes them", () => {
    const { value } = readYaml(
      'a: 1\nb: [true, null, 1.5, "x"]\nc: { d: no, e: 010, f: 2026-01-01 }\ng: |\n  two\n  lines\n',
      "w",
    );
    const c = { d: "no", e: 10, f: "2026-01-01" };
    expect(value).toEqual({ a: 1, b: [true, null, 1.5, "x"], c, g: "two\nlines\n" });
  });

  it("takes anchors, but no bomb made of them (B049)", () => {
    expect(readYaml("a: &x [1]\nb: *x\n", "w").value).toEqual({ a: [1], b: [1] });
    const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i < 12; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
      );
    expect(faultsOf(bomb.join("\n"))).toEqual(["w.yaml repeats its anchors more than 100 times"]);
  });

  it.each([
    ["a: !!js/function 'x'", /^1:4 .*tag/],
    ["a: !custom x", /^1:4 .*tag/],
    ["a: 1\na: 2", /^2:1 Map keys must be unique/],
    ["__proto__: { x: 1 }", /^1:1 The key __proto__ is not allowed/],
    ["a: &a { x: 1 }\nb: { <<: *a }", /^2:6 The key << is not allowed/],
    ["a: .inf", /^1:4 Infinity is no JSON number/],
    ["a: [1", /^1:/],
    ["a: 1\n---\nb: 2", /^2:1 .*multiple documents/],
    ["? [a, b]\n: 1", /^1:3 /],
  ])("refuses %j (B049)", (text, fault) => {
    expect(faultsOf(text)).toEqual(["w.yaml is not usable YAML", ...faultsOf(text).slice(1)]);
    expect(faultsOf(text)[1]).toMatch(fault);
  });

  it("refuses what is too large (B049)", () => {
    expect(faultsOf(`a: ${"x".repeat(1_100_000)}`)).toEqual(["w.yaml is larger than 1024 KiB"]);
  });

  it("finds the place of a JSON Pointer, or the nearest around it", () => {
    const { placeOf } = readYaml("name: x\nsteps:\n  - key: a\n    deps: [b]\n  - key: b/c\n", "w");
    expect(placeOf("/name")).toBe("1:1");
    expect(placeOf("/steps/0/deps/0")).toBe("4:12");
    expect(placeOf("/steps/1/key")).toBe("5:5");
    expect(placeOf("/steps/1/script")).toBe("5:5");
    expect(placeOf("/nowhere")).toBeNull();
    expect(placeOf("")).toBeNull();
  });
});
