import { describe, expect, it } from "@jest/globals";
import { readPool } from "./pool-config.js";

describe("the settings of the hosted pool", () => {
  it("are none unless it is asked for", () => {
    expect([readPool({}), readPool({ MAIA_HOSTED_POOL: "0" })]).toEqual([null, null]);
  });

  it("begin with one process, and let one go after a minute", () => {
    expect(readPool({ MAIA_HOSTED_POOL: "3" })).toMatchObject({ min: 1, max: 3, idleMs: 60_000 });
  });

  it.each([
    [{ MAIA_HOSTED_POOL: "many" }, /MAIA_HOSTED_POOL is "many"/],
    [{ MAIA_HOSTED_POOL: "1001" }, /at most 1000/],
    [{ MAIA_HOSTED_POOL: "2", MAIA_HOSTED_POOL_MIN: "3" }, /MAIA_HOSTED_POOL_MIN is 3; it must be from 1/],
    [{ MAIA_HOSTED_POOL: "2", MAIA_HOSTED_POOL_MIN: "0" }, /MAIA_HOSTED_POOL_MIN is 0; it must be from 1/],
  ])("are refused with the variable's name: %j", (env, message) => {
    expect(() => readPool(env)).toThrow(message);
  });

  it("give the processes the machine's settings, and nothing that is Maia's own", () => {
    const machine = { PATH: "/bin", npm_config_registry: "http://npm", MAIA_ISOLATION: "auto", MAIA_RUNNER_SLOTS: "2" };
    const own = {
      MAIA_SECRET_KEY: "key",
      DATABASE_URL: "file:x",
      MAIA_API_KEY: "maia_x",
      RUNNER_TOKEN: "t",
      PROXY_HTTPS: "p:1",
      MAIA_RUNNER_DATA_DIR: "/other",
    };
    expect(readPool({ MAIA_HOSTED_POOL: "1", ...machine, ...own })?.env).toEqual(machine);
  });
});
