import { describe, expect, it } from "@jest/globals";
import { ConfigError } from "@maia/service";
import { readConfig } from "../src/config.js";

const token = "0123456789abcdef0123456789abcdef";
const read = (env: Record<string, string>) => () => readConfig({ RUNNER_TOKEN: token, ...env });

describe("a runner's configuration", () => {
  it("has the defaults of the contract", () => {
    const config = readConfig({ RUNNER_TOKEN: token, MAIA_DATA_DIR: "/data" });
    expect(config).toMatchObject({ dataDir: "/data/runner", isolation: "auto" });
    expect(config.carrier).toMatchObject({
      kind: "direct",
      host: "127.0.0.1",
      port: 9090,
      tls: null,
      token,
      streamHeartbeatMs: 10_000,
    });
    expect(readConfig({ RUNNER_TOKEN: token, MAIA_RUNNER_DATA_DIR: "/r" }).dataDir).toBe("/r");
  });

  it.each([
    ["is not set", ""],
    ["has 31 characters", token.slice(1)],
    ["holds a space, a line break", `${token}\n`],
    ["holds a space, a line break", `${token} x`],
  ])("is refused when RUNNER_TOKEN %s (S10)", (why, value) => {
    expect(read({ RUNNER_TOKEN: value })).toThrow(`RUNNER_TOKEN ${why}`);
    expect(read({ RUNNER_TOKEN: value })).toThrow(expect.objectContaining({ name: "ConfigError" }));
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "runner.example", "127.evil.example"])(
    "listens on %s only with TLS or behind a proxy",
    (host) => {
      expect(read({ MAIA_RUNNER_HOST: host })).toThrow(/MAIA_RUNNER_HOST .* MAIA_TLS_CERT/);
      expect(read({ MAIA_RUNNER_HOST: host, MAIA_TRUST_PROXY: "1" })).not.toThrow();
      expect(read({ MAIA_RUNNER_HOST: host, MAIA_TLS_CERT: "c.pem", MAIA_TLS_KEY: "k.pem" })).not.toThrow();
    },
  );

  it.each(["127.0.0.1", "127.8.8.8", "::1", "localhost"])("listens on %s without", (host) => {
    expect(read({ MAIA_RUNNER_HOST: host })).not.toThrow();
  });

  it("is refused with half a certificate", () => {
    expect(read({ MAIA_TLS_CERT: "c.pem" })).toThrow(/MAIA_TLS_KEY/);
  });
});

describe("the configuration of a runner that dials out", () => {
  const MAIA_GATEWAY_URL = "https://maia.example/";
  const dialing = (env: Record<string, string> = {}) =>
    readConfig({ MAIA_GATEWAY_URL, MAIA_CLIENT_ID: "id", MAIA_CLIENT_SECRET: "secret", ...env }).carrier;

  it("needs no token, and has the marks of the contract", () => {
    expect(dialing()).toMatchObject({
      kind: "gateway",
      url: "https://maia.example",
      clientId: "id",
      clientSecret: "secret",
      marks: { cpu: 80, memory: 90 },
      diskMinBytes: 67_108_864,
      reach: { proxyHttp: null, proxyHttps: null, proxyExcludes: [], certFile: null },
    });
  });

  it.each(["MAIA_CLIENT_ID", "MAIA_CLIENT_SECRET"])("is refused without %s, or with what is none (S10)", (name) => {
    expect(() => dialing({ [name]: "" })).toThrow(`${name} is not; copy it from the runner's credentials`);
    expect(() => dialing({ [name]: "two words" })).toThrow(`${name} holds a space`);
  });

  it("is refused with hosts that are none in MAIA_URL_ALLOW", () => {
    expect(() => dialing({ MAIA_URL_ALLOW: "db.internal:5432 300.1.1.1/99" })).toThrow(ConfigError);
    expect(() => dialing({ MAIA_URL_ALLOW: "300.1.1.1/99" })).toThrow(/MAIA_URL_ALLOW: "300.1.1.1\/99" is no host/);
  });

  it("encrypts outside loopback, unless something else does (S12)", () => {
    expect(() => dialing({ MAIA_GATEWAY_URL: "http://maia.example" })).toThrow(/https:\/\/.*MAIA_TRUST_PROXY=1/);
    expect(() => dialing({ MAIA_GATEWAY_URL: "http://127.evil.example" })).toThrow(/https:\/\//);
    expect(dialing({ MAIA_GATEWAY_URL: "http://maia.example", MAIA_TRUST_PROXY: "1" })).toBeDefined();
    for (const host of ["localhost:3690", "127.0.0.1", "[::1]:3690"])
      expect(dialing({ MAIA_GATEWAY_URL: `http://${host}` })).toBeDefined();
  });

  it("takes no credentials in the address", () => {
    expect(() => dialing({ MAIA_GATEWAY_URL: "https://id:secret@maia.example" })).toThrow(/MAIA_CLIENT_SECRET/);
  });

  it("reads proxies as host and port or as URLs, and hosts that need none", () => {
    const env = { PROXY_HTTP: "proxy.example:3128", PROXY_HTTPS: "http://me:pass@proxy.example:3129" };
    const carrier = dialing({ ...env, PROXY_EXCLUDES: "localhost|*.internal| 10.0.0.1 " });
    expect(carrier).toMatchObject({
      reach: {
        proxyHttp: new URL("http://proxy.example:3128"),
        proxyHttps: new URL("http://me:pass@proxy.example:3129"),
        proxyExcludes: ["localhost", "*.internal", "10.0.0.1"],
      },
    });
    expect(() => dialing({ PROXY_HTTPS: "socks5://me:pass@proxy" })).toThrow(
      /^(?!.*pass).*PROXY_HTTPS is not an address/,
    );
  });

  it("refuses a mark that is no percentage", () => {
    expect(() => dialing({ MAIA_RUNNER_CPU_MARK: "101" })).toThrow(/MAIA_RUNNER_CPU_MARK is 101/);
  });
});
