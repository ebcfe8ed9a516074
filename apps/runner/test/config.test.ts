import { describe, expect, it } from "@jest/globals";
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

  it("is refused with half a certificate, or with a gateway that it cannot dial", () => {
    expect(read({ MAIA_TLS_CERT: "c.pem" })).toThrow(/MAIA_TLS_KEY/);
    expect(read({ MAIA_GATEWAY_URL: "https://maia.example" })).toThrow(/MAIA_GATEWAY_URL/);
  });
});
