import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type OwnMaia, openOwnMaia } from "./own-maia.js";
import { maia } from "./run-maia.js";

let own: OwnMaia;
beforeAll(async () => {
  own = await openOwnMaia("projects");
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

const run = (...args: string[]) => maia(args, { env: own.env, cwd: own.folder });
const json = async (...args: string[]) => {
  const ran = await run(...args, "--json");
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  return JSON.parse(ran.stdout);
};

describe("maia projects", () => {
  it("makes them, and lists them newest first", async () => {
    const made = await run("projects", "create", "finance");
    expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^finance {2}prj_\w+\n$/)]);
    expect((await json("projects", "list")).map(({ name }: { name: string }) => name)).toEqual(["finance", "default"]);
    expect((await run("environments", "list", "--project", "finance")).stdout).toMatch(
      /^default +hosted +0 +env_\w+$/m,
    );
    expect((await run("projects", "create", "finance")).code).toBe(5);
    expect((await run("projects", "create", " ")).code).toBe(6);
  });
});

describe("maia environments", () => {
  it("name the runner that their jobs go to, and change what is named alone (F20, F21)", async () => {
    await run("runners", "create", "warehouse", "--platform", "self_managed");
    const settings = ["--default-runner", "warehouse", "--variable", "REGION=eu", "--variable", "EMPTY="];
    const made = await run("environments", "create", "dev", ...settings);
    expect(made.stdout).toMatch(
      /^default\/dev {2}env_\w+\n {2}default runner {2}warehouse\n {2}REGION=eu\n {2}EMPTY=\n$/,
    );
    expect((await run("environments", "list")).stdout).toMatch(/^dev +warehouse +2 /m);
    const changed = await json("environments", "set", "dev", "--variable", "REGION=us", "--unset", "EMPTY");
    expect(changed).toMatchObject({ variables: { REGION: "us" }, defaultRunnerName: "warehouse" });
    const freed = await json("environments", "set", "dev", "--no-default-runner");
    expect(freed).toMatchObject({ variables: { REGION: "us" }, defaultRunnerName: null });
    expect((await run("environments", "show", "dev")).stdout).toContain("none: jobs go to hosted");
  });

  it("refuse what makes no sense, and say what", async () => {
    expect((await run("environments", "set", "default")).code).toBe(2);
    expect((await run("environments", "set", "default", "--variable", "=x")).code).toBe(2);
    const ghost = await run("environments", "set", "default", "--default-runner", "ghost");
    expect(ghost).toMatchObject({ code: 6, stderr: expect.stringContaining("there is no such runner") });
    expect((await run("environments", "show", "moon")).code).toBe(3);
    const reserved = await run("environments", "create", "odd", "--variable", "PATH=/");
    expect(reserved).toMatchObject({ code: 6, stderr: expect.stringContaining("PATH is reserved") });
  });
});
