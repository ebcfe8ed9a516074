import { availableParallelism } from "node:os";
import { describe, expect, it } from "@jest/globals";
import { constantVariable, readConstants } from "./constants.js";

describe("constants", () => {
  it("reads every one of them under its name with the prefix MAIA_", () => {
    const names = Object.keys(readConstants({}));
    const env = Object.fromEntries(names.map((name, index) => [constantVariable(name), String(1_000 - index)]));
    expect(constantVariable("leaseTtlMs")).toBe("MAIA_LEASE_TTL_MS");
    expect(readConstants(env)).toEqual(Object.fromEntries(names.map((name, index) => [name, 1_000 - index])));
  });

  it("derives what may run at once from the cores", () => {
    const cores = availableParallelism();
    expect(readConstants({})).toMatchObject({
      runConcurrency: 16 * cores,
      stepConcurrency: 4 * cores,
      runnerSlots: 4 * cores,
    });
  });

  it("lets an app have a default of its own, which the environment still beats", () => {
    expect(readConstants({}, { runnerReconnectWindowMs: 600_000 }).runnerReconnectWindowMs).toBe(600_000);
    const env = { MAIA_RUNNER_RECONNECT_WINDOW_MS: "1000" };
    expect(readConstants(env, { runnerReconnectWindowMs: 600_000 }).runnerReconnectWindowMs).toBe(1_000);
  });

  it("renews a shortened lease in time, and refuses a lease that runs out before it is renewed", () => {
    expect(readConstants({ MAIA_LEASE_TTL_MS: "900" }).leaseRenewMs).toBe(300);
    expect(() => readConstants({ MAIA_LEASE_TTL_MS: "900", MAIA_LEASE_RENEW_MS: "900" })).toThrow(
      /MAIA_LEASE_RENEW_MS/,
    );
  });
});
