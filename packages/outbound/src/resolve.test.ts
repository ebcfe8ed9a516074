import { describe, expect, it } from "@jest/globals";
import { parseDns, systemResolve } from "./resolve.js";

describe("MAIA_URL_DNS", () => {
  it("is the system's own resolver unless servers are named", () => {
    expect(parseDns("")).toBe(systemResolve);
    expect(parseDns(" , ")).toBe(systemResolve);
    expect(parseDns("9.9.9.9, 127.0.0.1:5353 [2620:fe::fe]:53")).not.toBe(systemResolve);
  });

  it.each(["dns.example", "9.9.9", "1.2.3.4:x", "9.9.9.9;8.8.8.8"])("refuses %s, and says what it takes", (text) => {
    expect(() => parseDns(text)).toThrow(/^MAIA_URL_DNS is ".*", but must be IP addresses/);
  });
});
