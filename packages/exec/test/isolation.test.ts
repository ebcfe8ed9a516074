import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ExecutorError } from "@maia/runner-protocol";
import { levelsHere, newMark, processesMarked, sleepMarked, until, Workshop } from "./kit.js";

const levels = await levelsHere();
const isRoot = process.getuid?.() === 0;

/** Tries to look at everything, and tells what it could see. */
const SPY = `
import fs from "node:fs";
import { execFileSync } from "node:child_process";
const tried = (act) => { try { return act(); } catch (error) { return error.code ?? "failed"; } };
const status = fs.readFileSync("/proc/self/status", "utf8");
const field = (name) => status.match(new RegExp("^" + name + ":\\\\s*(.*)$", "m"))?.[1];
const run = (...command) => tried(() => execFileSync(command[0], command.slice(1), { stdio: "pipe" }).toString());
export default ({ params }) => ({
  read: Object.fromEntries(params.paths.map((path) => [path, tried(() => fs.statSync(path).isDirectory() ? fs.readdirSync(path) : fs.readFileSync(path, "latin1"))])),
  processes: fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).map((pid) => tried(() => fs.readFileSync("/proc/" + pid + "/cmdline", "latin1"))),
  environments: fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).map((pid) => tried(() => fs.readFileSync("/proc/" + pid + "/environ", "latin1"))),
  descriptors: tried(() => fs.readdirSync("/proc/1/fd").map((fd) => tried(() => fs.readlinkSync("/proc/1/fd/" + fd)))),
  memory: tried(() => fs.closeSync(fs.openSync("/proc/1/mem", "r+")) ?? "opened"),
  kill: tried(() => process.kill(params.pid, 0)),
  signal: tried(() => process.kill(params.pid, "SIGTERM")),
  uid: process.getuid(),
  groups: process.getgroups(),
  capabilities: [field("CapEff"), field("CapPrm"), field("CapBnd"), field("NoNewPrivs")],
  root: fs.readdirSync("/").sort(),
  devices: fs.readdirSync("/dev").sort(),
  writes: ["/x", "/usr/x", "/etc/x", "/maia/x", "/maia/run/x", "/run/x", "/var/x"].filter((path) => tried(() => fs.writeFileSync(path, "x") ?? "written") === "written"),
  mount: run("mount", "-t", "tmpfs", "none", "/tmp"),
  unshare: run("unshare", "--user", "--map-root-user", "true"),
  remount: run("mount", "-o", "remount,rw,bind", "/usr"),
  chroot: run("chroot", "/", "true"),
});`;

describe("a step in the sandbox", () => {
  if (!levels.includes("sandbox")) {
    it("cannot be tested where bubblewrap does not work", () => expect(levels).not.toContain("sandbox"));
    return;
  }

  let workshop: Workshop;
  let seen: Record<string, never> & {
    read: Record<string, unknown>;
    processes: string[];
    environments: string[];
    descriptors: unknown;
    writes: string[];
    root: string[];
    devices: string[];
    capabilities: string[];
  };
  let hostUid: string;
  const data = mkdtempSync(join(tmpdir(), "maia-data-"));

  beforeAll(async () => {
    writeFileSync(join(data, "admin-key"), "secret-of-maia", { mode: 0o600 });
    workshop = await Workshop.open("sandbox", { root: join(data, "runs"), poolSize: 1 });
    const mark = newMark();
    const neighbour = workshop.task("shell", `echo secret-of-neighbour > secret; ${sleepMarked(mark)}`, {
      env: { SECRET: "secret-of-neighbour" },
      graceMs: 1,
    });
    const neighbours = workshop.run(neighbour);
    await until(() => processesMarked(mark).length > 0);
    hostUid = /^Uid:\s*(\d+)/m.exec(readFileSync(`/proc/${processesMarked(mark)[0]}/status`, "utf8"))![1]!;
    const paths = [
      data,
      join(data, "admin-key"),
      workshop.root,
      "/root",
      "/home",
      "/etc/shadow",
      "/sys",
      "/boot",
      "/opt",
      "/srv",
    ];
    const more = [
      "/proc/kcore",
      "/proc/sysrq-trigger",
      "/dev/mem",
      `/proc/${process.pid}/environ`,
      process.cwd(),
      tmpdir(),
    ];
    const task = workshop.task("node", SPY, { initialInput: { paths: [...paths, ...more], pid: process.pid } });
    const run = await workshop.run(task);
    expect(run.exit).toMatchObject({ exitCode: 0 });
    seen = run.output as typeof seen;
    await workshop.executor.cancel(neighbour.attemptId, "kill");
    await neighbours;
  });
  afterAll(async () => {
    await workshop[Symbol.asyncDispose]();
    rmSync(data, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });

  it("finds no file of the host beyond the system's programs (G30)", () => {
    const { [tmpdir()]: tmp, ...others } = seen.read;
    expect(tmp).toEqual([]);
    for (const [path, found] of Object.entries(others))
      expect([path, found]).toEqual([path, expect.stringMatching(/^E[A-Z]+$/)]);
    expect(seen.root.filter((name) => !/^(lib.*|bin|sbin)$/.test(name))).toEqual([
      "dev",
      "etc",
      "maia",
      "proc",
      "run",
      "tmp",
      "usr",
      "var",
    ]);
  });

  it("sees its own processes only, and nothing of Maia's (G30, B125)", () => {
    expect(seen.processes.length).toBeLessThanOrEqual(4);
    expect(JSON.stringify(seen)).not.toContain("secret-of");
    expect(JSON.stringify(seen.processes)).not.toContain(workshop.root);
    const names = seen.environments
      .join("\0")
      .split("\0")
      .filter(Boolean)
      .map((entry) => entry.split("=")[0]);
    expect([...new Set(names)].sort()).toEqual(
      ["HOME", "LANG", "PATH", "PWD", "TZ"].filter((name) => names.includes(name)),
    );
    // Beside /dev/null only the pipes that it prints to, which have no name any more.
    for (const link of seen.descriptors as string[]) expect(link).toMatch(/^\/dev\/null$|\/pipes\/\S+ \(deleted\)$/);
    expect([seen.kill, seen.signal]).toEqual(["ESRCH", "ESRCH"]);
  });

  it("has no powers and cannot get any", () => {
    const none = "0000000000000000";
    expect(seen.capabilities).toEqual([none, none, none, "1"]);
    expect([seen.uid, seen.groups]).toEqual([1000, expect.not.arrayContaining([0])]);
    for (const way of ["mount", "unshare", "remount", "chroot"])
      expect([way, seen[way]]).toEqual([way, 1].map((x) => (x === 1 ? expect.anything() : x)));
    for (const way of ["mount", "unshare", "remount", "chroot"]) expect(seen[way]).not.toBe("");
    if (isRoot) expect(hostUid).not.toBe("0");
  });

  it("writes to its folder and to /tmp alone", () => {
    expect(seen.writes).toEqual([]);
    expect(seen.devices).toEqual(expect.arrayContaining(["null", "random", "urandom", "zero"]));
    expect(seen.devices.filter((name) => /^(sd|vd|nvme|loop|mem|kmsg|kvm|fuse)/.test(name))).toEqual([]);
  });

  it("finds the network, names and certificates", async () => {
    const script = `
      import dns from "node:dns/promises"; import fs from "node:fs"; import os from "node:os";
      export default async () => ({ localhost: (await dns.lookup("localhost")).address, resolv: fs.existsSync("/etc/resolv.conf"),
        certificates: fs.existsSync("/etc/ssl"), user: os.userInfo().username, lo: Object.keys(os.networkInterfaces()) });`;
    const { output } = await workshop.run(workshop.task("node", script));
    expect(output).toMatchObject({
      localhost: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
      user: "step",
      resolv: true,
    });
    expect(output!.lo).toContain("lo");
  });
});

describe.each(levels.filter((level) => level !== "sandbox"))("a step at the level %s", (level) => {
  it("reads nothing that only Maia's user may, when Maia runs as root, and is warned of otherwise", async () => {
    const data = mkdtempSync(join(tmpdir(), "maia-data-"));
    try {
      writeFileSync(join(data, "admin-key"), "secret-of-maia", { mode: 0o600 });
      await using workshop = await Workshop.open(level, { root: join(data, "runs") });
      const { warnings } = workshop.executor.report;
      const paths = [join(data, "admin-key"), "/etc/shadow", `/proc/${process.pid}/environ`];
      const { output } = await workshop.run(workshop.task("node", SPY, { initialInput: { paths, pid: process.pid } }));
      if (isRoot) {
        expect(warnings).toEqual([]);
        for (const found of Object.values(output!.read as object)) expect(found).toMatch(/^E[A-Z]+$/);
        expect(output!.uid).not.toBe(0);
        expect((output!.capabilities as string[])[0]).toBe("0000000000000000");
        expect(["ESRCH", "EPERM"]).toContain(output!.signal);
      } else expect(warnings).toEqual([expect.stringContaining("can read what Maia can")]);
      expect((output!.capabilities as string[])[3]).toBe("1");
    } finally {
      rmSync(data, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    }
  });
});

describe("isolation", () => {
  it("is the best that the machine has, and the report says why it is not better (S14)", async () => {
    await using workshop = await Workshop.open("auto");
    const { report, isolation } = workshop.executor;
    expect([isolation, report.level]).toEqual([levels[0], levels[0]]);
    for (const { reason } of report.missing) expect(reason).not.toBe("");
  });

  it("that a task asks for and that is stronger than what is had refuses the task (G30)", async () => {
    await using workshop = await Workshop.open("process-group");
    const run = workshop.run(workshop.task("shell", ":", { isolation: "sandbox" }));
    await expect(run).rejects.toMatchObject({ code: "ISOLATION_UNAVAILABLE" });
    const weaker = await Workshop.open("auto");
    const ended = await weaker.run(weaker.task("shell", ":", { isolation: "process-group" }));
    expect(ended.exit.exitCode).toBe(0);
    await weaker[Symbol.asyncDispose]();
    await expect(run).rejects.toBeInstanceOf(ExecutorError);
  });
});
