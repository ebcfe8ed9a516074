import { networkInterfaces } from "node:os";
import { describe, expect, it } from "@jest/globals";
import { normalAddress, whyNotPublic } from "./addresses.js";
import { checkUrl, vet } from "./guard.js";
import { allowNothing, parseUrlAllow } from "./url-allow.js";

const refusal = (url: string) => {
  try {
    checkUrl(url, allowNothing);
    return "passes";
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
};

describe("what the guard can say without the network", () => {
  it.each(["file:///etc/passwd", "ftp://x/", "gopher://x/", "data:,x", "unix:/x", "javascript:alert(1)"])(
    "refuses the scheme of %s (B076)",
    (url) => expect(refusal(url)).toMatch(/^URL_BLOCKED: Only http: and https:/),
  );

  it.each(["", "x", "//x", "http://", "http://unix:/x:/", "http://[fe80::1%25eth0]/", `http://x/${"a".repeat(9_000)}`])(
    "refuses %.40s (B076, B086)",
    (url) => expect(refusal(url)).toMatch(/^URL_BLOCKED: /),
  );

  it("refuses credentials in the URL", () => {
    expect(refusal("http://user:secret@example.com/")).toMatch(/must not carry a user name/);
    expect(refusal("http://example.com@10.0.0.1/")).toMatch(/URL_BLOCKED/);
  });

  it.each([
    "127.0.0.1",
    "0",
    "0.0.0.0",
    "127.1",
    "0x7f.1",
    "0177.1",
    "2130706433",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[ff02::1]",
    "[::10.0.0.1]",
    "①②⑦.0.0.1",
    "%31%32%37.0.0.1",
    "127.0.0.1.",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
  ])("refuses the address %s, however it is written (B077)", (host) => {
    expect(refusal(`http://${host}/`)).toMatch(/^URL_BLOCKED: .*MAIA_URL_ALLOW can permit it$/);
  });

  it.each([22, 25, 6379, 0, 3690, 8080])("refuses port %d (B082)", (port) => {
    expect(refusal(`http://example.com:${port}/`)).toMatch(/Port \d+ may not be fetched from, only 80 and 443/);
    expect(refusal(`http://93.184.216.34:${port}/`)).toMatch(/Port/);
  });

  it("refuses a port that does not exist", () => expect(refusal("http://example.com:65536/")).toMatch(/is no URL/));

  it("refuses the addresses of this host, public ones too", () => {
    for (const address of Object.values(networkInterfaces()).flatMap((list) => list ?? [])) {
      expect(whyNotPublic(normalAddress(address.address)!)).not.toBeNull();
    }
  });

  it.each([
    "https://example.com/a?b#c",
    "http://93.184.216.34/",
    "http://[2606:4700::1111]/",
    "https://bücher.example/",
  ])("passes %s", (url) => expect(refusal(url)).toBe("passes"));
});

describe("what the guard says of names", () => {
  const at =
    (...addresses: string[]) =>
    async () =>
      addresses;

  it("refuses a name when any of its addresses is not public (B079)", async () => {
    await expect(vet("http://a.example/", allowNothing, at("10.0.0.1"))).rejects.toMatchObject({ code: "URL_BLOCKED" });
    const mixed = vet("http://a.example/", allowNothing, at("93.184.216.34", "::ffff:10.0.0.1"));
    await expect(mixed).rejects.toThrow("a.example: 10.0.0.1 is not a public address (private)");
    await expect(vet("http://a.example/", allowNothing, at())).rejects.toThrow("has no address");
    const target = await vet("http://a.example./x", allowNothing, at("93.184.216.34"));
    expect(target).toMatchObject({ host: "a.example", port: 80, addresses: ["93.184.216.34"] });
  });

  it.each(["localhost", "localhost."])("refuses %s (B077)", async (host) => {
    await expect(vet(`http://${host}/`, allowNothing, at("127.0.0.1"))).rejects.toMatchObject({ code: "URL_BLOCKED" });
  });

  it("lets the operator permit a host or its addresses", async () => {
    const url = "http://files.lan:8080/";
    await expect(vet(url, parseUrlAllow("10.0.0.0/8"), at("93.184.216.34"))).rejects.toThrow("Port 8080");
    await expect(vet(url, parseUrlAllow("files.lan:8080"), at("10.0.0.1"))).resolves.toMatchObject({ port: 8080 });
    await expect(vet("http://files.lan/", parseUrlAllow("10.0.0.0/8"), at("10.0.0.1"))).resolves.toMatchObject({
      port: 80,
    });
  });
});
