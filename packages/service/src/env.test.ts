import { describe, expect, it } from "@jest/globals";
import { ConfigError, readEnum, readFlag, readInteger, readOptional, readPort, readUrl } from "./env.js";

describe("reading the environment", () => {
  it("takes an empty variable for an unset one", () => {
    expect(readOptional({ A: "  " }, "A")).toBeNull();
    expect(readInteger({ A: "" }, "A", 7)).toBe(7);
  });

  it.each(["1e3", "-1", "1.5", "10s", "0x10", "99999999999999999999"])("refuses %s as a number", (text) => {
    expect(() => readInteger({ MAIA_N: text }, "MAIA_N", 5)).toThrow(ConfigError);
    expect(() => readInteger({ MAIA_N: text }, "MAIA_N", 5)).toThrow(
      /MAIA_N is ".*must be a plain non-negative integer/,
    );
  });

  it("refuses a port that does not exist", () => {
    expect(readPort({ P: "0" }, "P", 1)).toBe(0);
    expect(() => readPort({ P: "65536" }, "P", 1)).toThrow(/P is 65536/);
  });

  it("lists the choices when a value is none of them", () => {
    expect(readEnum({}, "L", ["json", "pretty"], "json")).toBe("json");
    expect(() => readEnum({ L: "xml" }, "L", ["json", "pretty"], "json")).toThrow(/one of json, pretty/);
  });

  it("reads switches and refuses maybes", () => {
    expect(readFlag({ F: "TRUE" }, "F")).toBe(true);
    expect(readFlag({ F: "0" }, "F", true)).toBe(false);
    expect(() => readFlag({ F: "maybe" }, "F")).toThrow(/true or false/);
  });

  it("takes http addresses only, unless told otherwise", () => {
    expect(readUrl({}, "U")).toBeNull();
    expect(readUrl({ U: "https://maia.example" }, "U")?.host).toBe("maia.example");
    expect(() => readUrl({ U: "ftp://x" }, "U")).toThrow(/begins with http:\/\/ or https:\/\//);
    expect(() => readUrl({ U: "maia" }, "U")).toThrow(ConfigError);
  });
});
