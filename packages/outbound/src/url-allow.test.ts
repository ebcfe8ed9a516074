import { describe, expect, it } from "@jest/globals";
import { parseUrlAllow } from "./url-allow.js";

describe("MAIA_URL_ALLOW", () => {
  it("takes hosts, addresses, ports and ranges, separated by commas or spaces", () => {
    const allow = parseUrlAllow("files.lan, db.lan:8080 10.1.0.0/16,127.0.0.1:9000 [::1]:81 fd00::/8 192.168.7.7");
    expect(allow.host("files.lan", 1)).toBe(true);
    expect(allow.host("more.files.lan", 80)).toBe(false);
    expect([allow.host("db.lan", 8080), allow.host("db.lan", 80)]).toEqual([true, false]);
    expect([allow.address("10.1.2.3", 22), allow.address("10.2.0.1", 22)]).toEqual([true, false]);
    expect([allow.address("127.0.0.1", 9000), allow.address("127.0.0.1", 80)]).toEqual([true, false]);
    expect([allow.address("::1", 81), allow.address("::1", 80)]).toEqual([true, false]);
    expect([allow.address("fd12::1", 80), allow.address("fe80::1", 80)]).toEqual([true, false]);
    expect(allow.address("192.168.7.7", 5)).toBe(true);
  });

  it("spells hosts as URLs do, so that an entry means what it says", () => {
    expect(parseUrlAllow("FILES.Lan.").host("files.lan", 80)).toBe(true);
    expect(parseUrlAllow("0x7f.1:80").address("127.0.0.1", 80)).toBe(true);
  });

  it.each([
    "http://x", "x/y", "a@b", "x:99999999", "10.0.0.0/33", "*", "*.lan", "x:", "[::1", "host!", "-x", "ho|st", "host$:80",
  ])("refuses %s, by name, and says what an entry looks like", (entry) => {
    const said = expect.stringContaining(`"${entry}" is no host, host:port or CIDR such as`);
    expect(() => parseUrlAllow(`ok.lan ${entry}`)).toThrow(expect.objectContaining({ code: "INVALID", message: said }));
  }); // biome-ignore format: a list

  it("says that there are no wildcards to who tries one", () => {
    expect(() => parseUrlAllow("*.lan")).toThrow(/no wildcards/);
  });
});
