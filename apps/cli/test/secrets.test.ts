import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type OwnMaia, openOwnMaia } from "./own-maia.js";
import { maia } from "./run-maia.js";

let own: OwnMaia;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  own = await openOwnMaia("secrets");
  ({ folder, env } = own);
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

const secrets = (args: string[], stdin?: string) =>
  maia(["secrets", ...args], { env, cwd: folder, ...(stdin === undefined ? {} : { stdin }) });

describe("maia secrets", () => {
  it("sets a secret from stdin, lists it by name, and deletes it", async () => {
    expect((await secrets(["list"])).stderr).toContain("no secrets yet");
    const set = await secrets(["set", "TOKEN", "--environment", "default"], "swordfish\n");
    expect(set).toEqual({ code: 0, stdout: "TOKEN is set in default\n", stderr: "" });
    const listed = await secrets(["list"]);
    expect(listed.stdout).toMatch(/^TOKEN {2}\S+Z {2}\S+Z$/m);
    expect(JSON.parse((await secrets(["list", "--json"])).stdout)).toMatchObject([{ name: "TOKEN" }]);
    expect((await secrets(["delete", "TOKEN"])).stdout).toBe("TOKEN is deleted from default\n");
    expect(await secrets(["delete", "TOKEN"])).toMatchObject({ code: 3 });
  });

  it("takes no value as an argument, and says what is wrong with one", async () => {
    expect(await secrets(["set", "TOKEN", "swordfish"])).toMatchObject({ code: 2 });
    expect(await secrets(["set", "TOKEN=swordfish"])).toMatchObject({ code: 2 });
    const short = await secrets(["set", "TOKEN"], "abc\n");
    expect(short).toMatchObject({ code: 6, stderr: expect.stringContaining("at least 4 characters") });
    expect(await secrets(["set", "TOKEN", "--environment", "nowhere"], "swordfish")).toMatchObject({ code: 3 });
  });
});
