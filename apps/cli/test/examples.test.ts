import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { Maia, type MaiaOptions, type MaiaResult, maia } from "./run-maia.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const lockFile = join(root, "pnpm-lock.yaml");

let folder: string;
let server: Maia;
let options: MaiaOptions;

/** One Maia for all: each test has runs of its own. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-examples-"));
  const data = join(folder, "data");
  server = new Maia(["up", "--data", data, "--port", "0"], { cwd: folder });
  await server.printed(/is ready at \S+\n/);
  const url = /is ready at (\S+)/.exec(server.stdout)![1]!;
  options = { cwd: folder, env: { MAIA_URL: url, MAIA_DATA_DIR: data } };
  const applied = await maia(["apply", "-f", join(root, "examples")], options);
  expect(applied).toEqual({
    code: 0,
    stderr: "",
    stdout: "flaky v1 published\nhello v1 published\nlockfile-report v1 published\n",
  });
});

afterAll(async () => {
  server.child.kill("SIGTERM");
  const { code } = await server.done;
  await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  expect(code).toBe(0);
});

const run = (...args: string[]): Promise<MaiaResult> => maia(["run", ...args], options);

async function runJson(...args: string[]) {
  const { code, stdout } = await run(...args, "--wait", "--json");
  return { code, run: JSON.parse(stdout) };
}

describe("the example hello", () => {
  it("says hello in node and louder in shell", async () => {
    const { code, stdout } = await run("hello", "--param", "who=Ada", "--follow");
    expect(code).toBe(0);
    expect(stdout).toContain("[greet] Hello, Ada!\n");
    expect(stdout).toContain("[shout] HELLO, ADA!\n");
    expect(stdout).toMatch(
      /✓ SUCCEEDED in .*\nOutputs\n {2}greeting +Hello, Ada!\n {2}shouted +HELLO, ADA!\nArtifacts\n {2}shouted\.txt /,
    );
  });

  it("is unchanged when it is applied again", async () => {
    expect((await maia(["apply", "-f", join(root, "examples/hello")], options)).stdout).toBe("hello v1 unchanged\n");
  });
});

describe("the example flaky", () => {
  it("fails twice, is tried again, and succeeds", async () => {
    const { code, run: done } = await runJson("flaky");
    expect(code).toBe(0);
    expect(done.outputs).toEqual({ attempts: 3 });
    expect(done.steps[0].attempts.map(({ status }: { status: string }) => status)).toEqual([
      "FAILED",
      "FAILED",
      "SUCCEEDED",
    ]);
  });

  it("fails when there are too few attempts, with exit code 10 and the way to its log", async () => {
    const { code, stdout, stderr } = await run("flaky", "--param", "succeedsAt=9", "--follow");
    expect(code).toBe(10);
    expect(stdout).toMatch(/step fetch attempt 4 FAILED/);
    expect(stdout).toMatch(/✕ FAILED in .*\n {2}step fetch: STEP_EXIT_CODE: /);
    expect(stderr).toMatch(/maia runs logs run_\w+ --step fetch/);
    const id = /run_\w+/.exec(stdout)![0];
    const logs = await maia(["runs", "logs", id, "--step", "fetch", "--attempt", "4", "--stream", "stdout"], options);
    expect(logs).toMatchObject({ code: 0, stdout: "attempt 4 of at most 4\n" });
    const shown = (await maia(["runs", "show", id], options)).stdout;
    expect(shown).toMatch(
      /first: step fetch, attempt 4 of 4, exit code 1\n( {4}\| .*\n)*? {4}\| Error: the other side did not/,
    );
    expect(shown).toMatch(/then: \d step/);
  });
});

describe("the example lockfile-report", () => {
  it("reports on this repository's own lock file, in node and python", async () => {
    const { code, run: done } = await runJson("lockfile-report", "--file", lockFile, "--param", "top=5");
    expect(code).toBe(0);
    const section = (await readFile(lockFile, "utf8")).split("\npackages:\n")[1]!.split("\nsnapshots:\n")[0]!;
    expect(done.outputs.packages).toBe(section.match(/^ {2}\S.*:$/gm)!.length);
    expect(done.outputs.report).toContain("the last table in python");

    const { stdout } = await maia(["artifacts", "get", done.id, "--to", "out"], options);
    expect(stdout.trim().split("\n").sort()).toEqual(["out/chart.svg", "out/report.md"]);
    expect(await readFile(join(folder, "out/report.md"), "utf8")).toBe(done.outputs.report);
    expect((await readFile(join(folder, "out/chart.svg"), "utf8")).match(/<rect /g)).toHaveLength(5);
  });

  it("does the same in node where there is no python3", async () => {
    const steps = join(root, "examples/lockfile-report/steps");
    const [inNode, parse] = await Promise.all([import(join(steps, "versions.mjs")), import(join(steps, "parse.mjs"))]);
    jest.spyOn(console, "log").mockImplementation(() => {});
    const sizeBytes = (await readFile(lockFile)).length;
    const upstream = { parse: await parse.default({ files: [{ name: "pnpm-lock.yaml", path: lockFile, sizeBytes }] }) };
    const { language, ...result } = await inNode.default({ params: { top: 5 }, upstream });
    const { run: done } = await runJson("lockfile-report", "--file", lockFile, "--param", "top=5");
    const output = await maia(["artifacts", "list", done.id, "--all", "--json"], options);
    const ofPython = JSON.parse(output.stdout).find(
      ({ name, stepKey }: { name: string; stepKey: string }) => stepKey === "versions" && name === "output.json",
    );
    const { data } = JSON.parse((await maia(["artifacts", "get", ofPython.id, "--to", "-"], options)).stdout);
    expect({ language, ...result }).toEqual({ ...data, language: "node" });
  });

  it("refuses a file that is no lock file, and a run without one", async () => {
    await writeFile(join(folder, "other.txt"), "nothing");
    const wrong = await run("lockfile-report", "--file", "other.txt", "--wait");
    expect(wrong).toMatchObject({ code: 10, stdout: expect.stringContaining("step parse: STEP_EXIT_CODE") });
    expect(await run("lockfile-report")).toMatchObject({ code: 6, stdout: "" });
  });
});

describe("a run that takes long", () => {
  beforeAll(async () => {
    await writeFile(
      join(folder, "slow.yaml"),
      "name: slow\nsteps:\n  - { key: wait, runtime: shell, script: 'echo waiting; sleep 600' }\n",
    );
    expect((await maia(["apply", "-f", "slow.yaml"], options)).code).toBe(0);
  });

  it("goes on when its follower leaves, and is canceled by command", async () => {
    const following = new Maia(["run", "slow", "--follow"], options);
    await following.printed(/\[wait\] waiting/);
    following.child.kill("SIGINT");
    const { code, stderr } = await following.done;
    expect(code).toBe(130);
    const job = /maia runs cancel (job_\w+)/.exec(stderr)![1]!;
    expect((await maia(["runs", "show", job], options)).stdout).toMatch(/^▶ RUNNING/);

    const watching = maia(["runs", "watch", job], options);
    expect(await maia(["runs", "cancel", job, "--reason", "wrong month"], options)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("is being canceled"),
    });
    expect(await watching).toMatchObject({ code: 11, stdout: expect.stringContaining("⊘ CANCELED") });
    expect((await maia(["runs", "show", job], options)).stdout).toContain(
      "CANCELED: The run was canceled: wrong month",
    );
    expect(await maia(["runs", "cancel", job], options)).toMatchObject({ code: 5 });
    expect(await maia(["runs", "delete", job], options)).toMatchObject({ code: 0, stdout: `${job} is deleted\n` });
    expect(await maia(["runs", "show", job], options)).toMatchObject({ code: 3 });
  });
});

describe("the guide to a first workflow", () => {
  it("works as it is written", async () => {
    const guide = await readFile(join(root, "docs/guides/first-workflow.md"), "utf8");
    const block = (language: string) => new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(guide)![1]!;
    await mkdir(join(folder, "first"));
    await writeFile(join(folder, "first/workflow.yaml"), block("yaml"));
    await writeFile(join(folder, "first/count.mjs"), block("js"));
    expect((await maia(["apply", "-f", "first"], options)).stdout).toBe("first v1 published\n");
    const { code, run: done } = await runJson("first", "--file", join(root, "README.md"), "--param", "top=5");
    expect({ code, words: done.outputs.words }).toEqual({ code: 0, words: expect.any(Number) });
    const names = done.artifacts
      .filter(({ system }: { system: boolean }) => !system)
      .map(({ name }: { name: string }) => name);
    expect(names.sort()).toEqual(["top.json", "what-count-said.json"]);
  });
});

describe("maia runs rerun", () => {
  it("does a run again whole, from a step, or one attempt, and shows what was reused", async () => {
    const { run: first } = await runJson("hello", "--param", "who=Ada");
    const rerun = (...args: string[]) => maia(["runs", "rerun", first.id, ...args, "--wait", "--json"], options);
    const whole = JSON.parse((await rerun("--param", "who=Grace")).stdout);
    expect(whole).toMatchObject({ status: "SUCCEEDED", originRunId: first.id, outputs: { greeting: "Hello, Grace!" } });
    const from = JSON.parse((await rerun("--from", "shout")).stdout);
    expect(from).toMatchObject({ status: "SUCCEEDED", outputs: { shouted: "HELLO, ADA!" } });
    const shown = await maia(["runs", "show", from.id], options);
    expect(shown.stdout).toContain(`  re-run of ${first.id}\n`);
    expect(shown.stdout).toMatch(new RegExp(`greet .*reused from ${first.id}\\n`));
    const followed = await maia(["runs", "watch", from.id], options);
    expect(followed.stdout).toContain(`step greet SUCCEEDED (reused from ${first.id})\n`);
    const one = JSON.parse((await rerun("--attempt", "shout:1")).stdout);
    expect(one.steps.map(({ key, status }: { key: string; status: string }) => [key, status])).toEqual([
      ["greet", "SUCCEEDED"],
      ["shout", "SUCCEEDED"],
    ]);
  });

  it("says what there is when a step or an attempt is not", async () => {
    const { run: first } = await runJson("hello", "--param", "who=Ada");
    const rerun = (...args: string[]) => maia(["runs", "rerun", first.id, ...args], options);
    const refusals: [args: string[], code: number, says: RegExp][] = [
      [["--from", "ghost"], 6, /\/from: there is no step "ghost"; the run has greet, shout/],
      [["--attempt", "ghost:1"], 3, /has no step ghost\nIt has greet, shout/],
      [["--attempt", "greet:2"], 3, /does not have attempt 2/],
      [["--attempt", "greet:x"], 2, /must be STEP:NUMBER/],
      [["--from", "greet", "--attempt", "greet"], 2, /exclude each other/],
      [["--from", "greet", "--param", "who=x"], 2, /only where the whole run/],
    ];
    for (const [args, code, says] of refusals) {
      expect(await rerun(...args)).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(says) });
    }
  });
});
