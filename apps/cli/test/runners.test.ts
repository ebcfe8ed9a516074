import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type OwnMaia, openOwnMaia } from "./own-maia.js";
import { maia } from "./run-maia.js";

let own: OwnMaia;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  own = await openOwnMaia("runners");
  ({ folder, env } = own);
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

const runners = (...args: string[]) => maia(["runners", ...args], { env, cwd: folder });
const json = async (...args: string[]) => {
  const ran = await runners(...args, "--json");
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  return JSON.parse(ran.stdout);
};

async function post(path: string, body: object): Promise<void> {
  const key = (await readFile(join(env.MAIA_DATA_DIR!, "admin-key"), "utf8")).trim();
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const { status } = await fetch(env.MAIA_URL + path, { method: "POST", headers, body: JSON.stringify(body) });
  expect(status).toBe(201);
}

describe("maia runners", () => {
  it("looks a runner's way over, says 0 where it is free, and names what is not with what to do (ux 12)", async () => {
    const made = await runners("create", "sick", "--platform", "self_managed");
    const given = Object.fromEntries(
      [...made.stdout.matchAll(/^(MAIA_\w+)=(\S+)$/gm)].map(([, name, text]) => [name, text]),
    );
    const doctor = (more: Record<string, string>, ...flags: string[]) => {
      const own = { MAIA_GATEWAY_URL: env.MAIA_URL!, MAIA_RUNNER_DATA_DIR: join(folder, "sick"), ...given, ...more };
      return maia(["runners", "doctor", ...flags], { env: own, cwd: folder });
    };
    const well = await doctor({}, "--json");
    expect([well.code, JSON.parse(well.stdout).firstFailure]).toEqual([0, null]);
    expect(await json("show", "sick")).toMatchObject({ status: "PENDING", instances: 0 });
    const ill = await doctor({ MAIA_CLIENT_SECRET: "another" });
    expect([ill.code, ill.stdout]).toEqual([1, expect.stringMatching(/^credentials +✖ failed/m)]);
    expect(ill.stderr).toMatch(/credentials fails: .*\n.*maia runners credentials/);
    expect((await runners("remove", "sick")).code).toBe(0);
  });

  it("makes, lists, shows and removes a runner, and says what stays behind (F2, F3, F4, F52)", async () => {
    const made = await runners("create", "east", "--platform", "self_managed", "--env", "TZ=UTC", "--cpu", "0.5");
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining("maia runners deployment east")]);
    expect(made.stdout).toMatch(/^MAIA_CLIENT_ID=rnr_\w+\nMAIA_CLIENT_SECRET=mcs_[\w-]+$/m);
    const listed = await runners("list");
    expect(listed.stdout).toMatch(/^east +· PENDING +self_managed\/docker +maia +0 +0 +0/m);
    expect(listed.stdout).toMatch(/^hosted +● RUNNING +hosted +maia +1/m);
    expect((await json("list")).map(({ name }: { name: string }) => name)).toEqual(["east", "hosted"]);
    const shown = await runners("show", "east");
    expect(shown.stdout).toMatch(/status +PENDING: it has never connected \(0 instances\)/);
    expect((await json("show", "east")).config).toMatchObject({ env: { TZ: "UTC" }, cpu: "0.5" });
    expect((await runners("deployment", "east")).stdout).toContain("docker run");
    const environment = { name: "leaning", defaultRunner: "east" };
    await post("/v1/projects/default/environments", environment);
    expect(await runners("remove", "east")).toMatchObject({
      code: 5,
      stderr: expect.stringContaining("default/leaning"),
    });
    const removed = await runners("remove", "east", "--force");
    expect([removed.code, removed.stdout]).toEqual([0, expect.stringContaining("east is removed. ")]);
    expect(removed.stdout).toContain("Clean up on your host");
    expect((await runners("show", "east")).code).toBe(3);
  });

  it("makes a streaming runner, which nobody can restrict (F17)", async () => {
    await runners("create", "stream", "--platform", "aws", "--type", "streaming");
    expect((await runners("list")).stdout).toMatch(/^stream +· PENDING +aws\/fargate +streaming /m);
    expect(await runners("restrict", "stream")).toMatchObject({ code: 6 });
    expect((await json("show", "stream")).restricted).toBe(false);
  });

  it("lists all of a fleet, the hosted runner too, however many were made since (F2)", async () => {
    for (let no = 1; no <= 26; no++) await post("/v1/runners", { name: `fleet-${no}`, platform: "aws" });
    const listed = (await json("list")).map(({ name }: { name: string }) => name);
    expect(listed).toContain("hosted");
    expect(listed.length).toBeGreaterThan(26);
    expect(await json("list", "--limit", "2")).toHaveLength(2);
  });

  it("changes what is named, and says what that does not do (F29, F31, F103, F104)", async () => {
    await runners("create", "moving", "--platform", "kubernetes", "--env", "TZ=UTC");
    const changed = await runners("set", "moving", "--track", "stable", "--auto-update", "--cpu", "2");
    expect([changed.code, changed.stdout]).toEqual([0, expect.stringMatching(/track +stable, updates itself/)]);
    expect(changed.stderr).toContain("does not update what is installed");
    expect(await json("show", "moving")).toMatchObject({ config: { cpu: "2", env: { TZ: "UTC" } } });
    const again = await runners("set", "moving", "--no-auto-update", "--name", "moved $HOME");
    expect(again.stdout).toMatch(/^moved \$HOME .*track +stable$/ms);
    expect((await json("show", "moved $HOME")).autoUpdate).toBe(false);
    expect((await runners("set", "moved $HOME")).code).toBe(2);
    expect(await runners("set", "moved $HOME", "--cpu", "many")).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("/config/cpu"),
    });
  });

  it("says what instances can be told, and which there are (F38, F39, F80)", async () => {
    await runners("create", "told", "--platform", "gcp", "--env", "MAIA_RUNNER_CPU_MARK=70");
    const { stdout } = await runners("parameters", "told");
    expect(stdout).toMatch(/^MAIA_CLIENT_ID +needed +rnr_\w+ +Which runner it is$/m);
    expect(stdout).toMatch(/^MAIA_RUNNER_CPU_MARK +optional +70 +\S/m);
    expect(stdout).toMatch(/^MAIA_RUNNER_MEMORY_MARK +optional +\(90\) +\S/m);
    expect(await json("instances", "told")).toEqual([]);
    expect((await runners("parameters", "hosted")).code).toBe(5);
  });

  it("pauses with a word from its user and resumes without (F66, F72)", async () => {
    const refused = await runners("pause", "hosted");
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--yes")]);
    expect((await json("show", "hosted")).status).toBe("RUNNING");
    const paused = await runners("pause", "hosted", "--yes", "--note", "new disk");
    expect(paused.stdout).toMatch(/^hosted PAUSED: new tasks are queued, until \S+Z at the latest \(1 instance\)$/m);
    expect((await runners("list")).stdout).toMatch(/^hosted +‖ PAUSED /m);
    expect((await json("resume", "hosted")).status).toBe("RUNNING");
    expect(await runners("resume", "hosted")).toMatchObject({ code: 5 });
    expect(await runners("restart", "hosted")).toMatchObject({ code: 5 });
    const history = await runners("activity", "hosted");
    expect(history.stdout).toMatch(/PAUSE +key_\w+ +new disk$/m);
    await runners("create", "told-of", "--platform", "gcp");
    await runners("set", "told-of", "--description", "new", "--cpu", "2");
    await runners("allow", "told-of", "default");
    const told = (await runners("activity", "told-of")).stdout;
    expect(told).toMatch(/ALLOWLIST +key_\w+ +add\n.*UPDATE +key_\w+ +description,config\n/);
  });

  it("shows credentials, and makes new ones when somebody means it (F43, F45)", async () => {
    await runners("create", "keyed", "--platform", "kubernetes");
    const before = await json("credentials", "keyed");
    expect((await runners("credentials", "keyed", "--refresh")).code).toBe(2);
    expect(await json("credentials", "keyed")).toEqual(before);
    const after = await json("credentials", "keyed", "--refresh", "--yes");
    expect([after.clientId === before.clientId, after.clientSecret === before.clientSecret]).toEqual([true, false]);
    expect((await runners("credentials", "keyed")).stdout).toContain(`MAIA_CLIENT_SECRET=${after.clientSecret}`);
  });

  it("says who may use a runner (F46)", async () => {
    await runners("create", "fenced", "--platform", "aws", "--restricted");
    expect((await runners("allow", "fenced")).stderr).toContain("Nobody may use the runner");
    expect((await runners("allow", "fenced", "default/default")).stdout).toMatch(/^default +default$/m);
    expect((await runners("allow", "fenced", "default")).stdout).toMatch(/^default +all environments$/m);
    expect(await json("allow", "fenced", "default", "--remove")).toEqual({ projects: {} });
    expect((await runners("allow", "fenced", "default/moon")).stderr).toContain("no such environment");
    expect((await runners("restrict", "fenced", "--off")).stdout).toContain("every project may use it");
    expect((await runners("allow", "fenced", "a/b/c")).code).toBe(2);
  });

  it("tests a connection of a running one, and answers as JSON (F57, F58, F59)", async () => {
    const lost = await runners("test", "hosted", "nowhere.invalid", "80");
    expect([lost.code, JSON.parse(lost.stdout)]).toEqual([
      1,
      { result: "TIMEOUT", host: "nowhere.invalid", port: 80, detail: expect.any(String) },
    ]);
    expect(await runners("test", "hosted", "127.0.0.1", "80")).toMatchObject({ code: 6 });
    expect(await runners("test", "fenced", "nowhere.invalid", "80")).toMatchObject({ code: 5 });
  });
});
