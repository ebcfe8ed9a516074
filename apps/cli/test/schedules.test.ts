import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Maia, maia } from "./run-maia.js";

let folder: string;
let server: Maia;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-cli-schedules-"));
  const data = join(folder, "data");
  server = new Maia(["up", "--data", data, "--port", "0"]);
  await server.printed(/ready at http:\S+/);
  env = { MAIA_URL: /ready at (http:\S+)/.exec(server.stdout)![1]!, MAIA_DATA_DIR: data };
  const definition = ["name: report", "steps:", "  - key: a", "    runtime: shell", "    script: echo hi", ""].join(
    "\n",
  );
  await writeFile(join(folder, "workflow.yaml"), definition);
  expect((await ask("apply", "-f", folder)).code).toBe(0);
});

afterAll(async () => {
  server.child.kill("SIGTERM");
  await server.done;
  await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
});

const ask = (...args: string[]) => maia(args, { env, cwd: folder });
const schedules = (...args: string[]) => ask("schedules", ...args);

describe("maia schedules", () => {
  it("makes a schedule, shows it and when it comes due, and disables, enables and deletes it", async () => {
    const nightly = ["--cron", "30 2 * * *", "--timezone", "Asia/Tokyo", "--name", "Nightly", "--param", "top=3"];
    const policies = ["--misfire", "catch_up", "--catch-up-limit", "7", "--overlap", "allow", "--version", "1"];
    const made = await schedules("create", "report", ...nightly, ...policies);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sch_\w+\n$/) });
    expect(made.stderr).toMatch(/30 2 \* \* \* Asia\/Tokyo; next at \S+T17:30:00\.000Z/);
    const id = made.stdout.trim();
    expect(JSON.parse((await schedules("show", id, "--json")).stdout)).toMatchObject({
      misfire: "catch_up",
      catchUpLimit: 7,
      overlap: "allow",
      params: { top: 3 },
      version: 1,
    });
    const shown = (await schedules("show", id)).stdout;
    expect(shown).toContain("Nightly");
    expect(shown).toContain("catch_up, at most 7");
    expect(shown).toMatch(/T17:30:00\.000Z {2}\S+T02:30:00\+09:00/);
    expect((await schedules("upcoming", id, "--count", "4")).stdout.trim().split("\n")).toHaveLength(4);
    expect((await schedules("list", "--workflow", "report")).stdout).toMatch(
      /^sch_\w+ {2}Nightly {2}30 2 \* \* \* Asia\/Tokyo/,
    );
    expect((await schedules("disable", id)).stdout).toBe(`${id} is disabled\n`);
    expect((await schedules("list")).stdout).toContain("disabled");
    expect((await schedules("upcoming", id)).stderr).toContain("disabled");
    expect((await schedules("enable", id)).stdout).toContain("is enabled; next at");
    expect((await schedules("delete", id)).stdout).toBe(`${id} is deleted\n`);
    expect(await schedules("show", id)).toMatchObject({ code: 3 });
  });

  it("triggers a job that ends, and tells what became of each instant", async () => {
    const id = (await schedules("create", "report", "--every", "1s", "--overlap", "allow")).stdout.trim();
    const job = (await schedules("trigger", id)).stdout.trim();
    expect(await ask("runs", "watch", job)).toMatchObject({ code: 0 });
    for (;;) {
      const { stdout } = await schedules("ticks", id, "--outcome", "fired");
      if (stdout.split("\n").length > 2) {
        expect(stdout).toMatch(/^\S+Z {2}fired {2}job_\w+\n/);
        break;
      }
    }
    expect((await schedules("disable", id)).code).toBe(0);
    const { stdout } = await schedules("ticks", id, "--json", "--limit", "2");
    expect(JSON.parse(stdout)).toHaveLength(2);
  });

  it("takes the zone of this machine where none is named, and keeps a disabled one quiet", async () => {
    const args = ["schedules", "create", "report", "--cron", "0 9 * * 1", "--disabled", "--json"];
    const made = await maia(args, { env: { ...env, TZ: "America/Lima" }, cwd: folder });
    expect(JSON.parse(made.stdout)).toMatchObject({ timezone: "America/Lima", enabled: false, nextRunAt: null });
  });

  it("says what is wrong: the flags with exit code 2, the input with 6 and its place", async () => {
    expect(await schedules("create", "report")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--cron or --every"),
    });
    expect(await schedules("create", "report", "--cron", "* * * * *", "--every", "1m")).toMatchObject({ code: 2 });
    expect(await schedules("create", "report", "--every", "soon")).toMatchObject({ code: 2 });
    expect(await schedules("create", "report", "--cron", "* * * * *", "--misfire", "never")).toMatchObject({ code: 2 });
    const odd = await schedules("create", "report", "--cron", "0 0 31 2 *", "--timezone", "UTC");
    expect(odd).toMatchObject({ code: 6, stderr: expect.stringContaining("never fires") });
    expect(await schedules("create", "ghost", "--every", "1h")).toMatchObject({ code: 3 });
  });
});

describe("maia audit", () => {
  it("lists who did what, and checks the record here", async () => {
    expect((await ask("audit", "list")).stdout).toMatch(/schedule\.create/);
    const whole = await ask("audit", "verify");
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+ entries are whole/) });
    const head = /head (\S+)/.exec(whole.stdout)![1]!;
    expect((await ask("audit", "verify", "--head", head)).code).toBe(0);
    const [seq, hash] = head.split(":");
    expect(await ask("audit", "verify", "--head", `${Number(seq) + 1}:${hash}`)).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/not whole/),
    });
    expect((await ask("audit", "verify", "--head", "x")).code).toBe(2);
  });
});
