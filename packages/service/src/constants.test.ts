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

  it.each([
    "MAIA_RUN_CONCURRENCY",
    "MAIA_STEP_CONCURRENCY",
    "MAIA_RUNNER_SLOTS",
    "MAIA_RUNNER_HEARTBEAT_MS",
    "MAIA_TOKEN_TTL_MS",
  ])("refuses none of %s, with which nothing would go on", (name) => {
    expect(() => readConstants({ [name]: "0" })).toThrow(`${name} is 0, but must be 1 or more`);
  });

  it("refuses to count a runner as gone between two of its beats", () => {
    expect(() => readConstants({ MAIA_RUNNER_UNKNOWN_MS: "5000" })).toThrow(/MAIA_RUNNER_HEARTBEAT_MS \(5000\)/);
    expect(readConstants({ MAIA_RUNNER_UNKNOWN_MS: "5001" }).runnerUnknownMs).toBe(5_001);
  });

  it("renews a shortened lease in time, and refuses a lease that runs out before it is renewed", () => {
    expect(readConstants({ MAIA_LEASE_TTL_MS: "900" }).leaseRenewMs).toBe(300);
    expect(() => readConstants({ MAIA_LEASE_TTL_MS: "900", MAIA_LEASE_RENEW_MS: "900" })).toThrow(
      /MAIA_LEASE_RENEW_MS/,
    );
  });
});
