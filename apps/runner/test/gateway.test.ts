import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { DialerHome, type Env, openTestDialer, type TestDialer } from "./support/dialer.js";
import { TestGateway } from "./support/gateway.js";
import { TestProxy } from "./support/proxy.js";
import { until } from "./support/runner.js";
import { aTask, sha256 } from "./support/tasks.js";

let gateway: TestGateway;
let dialer: TestDialer;
beforeEach(async () => {
  gateway = await TestGateway.open();
});
afterEach(async () => {
  await dialer?.[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const dial = async (env: Env = {}, url = gateway.url) => {
  dialer = await openTestDialer(url, env);
  return dialer;
};
const isEnded = (attemptId: string) => () => gateway.exitOf(attemptId) !== null;
const text = (bytes: Uint8Array = Buffer.alloc(0)) => Buffer.from(bytes).toString("base64");
const left = (folder: "spool" | "unconfirmed") => readdirSync(join(dialer.dir, folder));

describe("a runner that dials out", () => {
  it("says who it is, takes a task with its content, and brings back its frames (G6, S12)", async () => {
    await dial();
    const task = gateway.offer(aTask());
    dialer.executor.play(task.attemptId).log("one", "two").output({ answer: 42 }).exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.hellos).toEqual([
      expect.objectContaining({ protocol: "1.0", slots: 4, ledgerId: dialer.runner.ledgerId }),
    ]);
    expect(gateway.framesOf(task.attemptId).map(({ type }) => type)).toEqual(["started", "log", "log", "output"]);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ lastSeq: 4, reason: "exited", exitCode: 0 });
    await until("nothing of it is kept", () => left("spool").length + left("unconfirmed").length === 0);
    await until("it is not in hand any more", () => gateway.lastPoll?.running.length === 0);
    expect(gateway.polls.flatMap(({ gotTasks }) => gotTasks)).toContain(task.attemptId);
  });

  it("starts a task once, however often it is handed over (G6, F50)", async () => {
    await dial();
    gateway.repeats = true;
    const task = gateway.offer(aTask());
    await until("it came many times", () => (gateway.handed.get(task.attemptId) ?? 0) >= 4);
    dialer.executor.play(task.attemptId).log("one").exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(dialer.executor.started).toEqual([task.attemptId]);
    expect(gateway.linesOf(task.attemptId)).toEqual(["one"]);
  });

  it("brings every line once and in order through a network that cuts at any byte (G14, F47)", async () => {
    await using proxy = await TestProxy.open(gateway.url);
    proxy.treat = (no) => (no % 3 === 2 ? {} : { cutAfterBytes: 1 + ((no * 37) % 500) });
    await dial({}, proxy.url);
    const task = gateway.offer(aTask());
    const play = dialer.executor.play(task.attemptId);
    const lines = Array.from({ length: 300 }, (_, index) => `${index}:${"é".repeat(index)}`);
    for (const [index, line] of lines.entries()) {
      play.log(line);
      if (index % 20 === 0) {
        proxy.cutAll();
        await until("some came", () => gateway.linesOf(task.attemptId).length > index - 20);
      }
    }
    play.exit();
    await until("the end is confirmed", isEnded(task.attemptId), 30_000);
    expect(gateway.linesOf(task.attemptId)).toEqual(lines);
    expect(dialer.executor.started).toEqual([task.attemptId]);
  });

  it("goes on where the gateway says, when answers are lost or frames are", async () => {
    await dial();
    let no = 0;
    const task = gateway.offer(aTask());
    gateway.intercept = (_method, path) => {
      if (!path.endsWith("/frames")) return null;
      no++;
      if (no % 3 === 0) return "cut"; // nothing of it is recorded
      return no % 3 === 1 ? [200, { ackedSeq: 0, ended: false }] : null; // as a gateway says that begins anew
    };
    dialer.executor.play(task.attemptId).log("one", "two", "three").exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.linesOf(task.attemptId)).toEqual(["one", "two", "three"]);
  });

  it("does not take content with other bytes than the task names, and starts nothing without it", async () => {
    await dial();
    const { task, bytes } = aTask();
    const right = bytes.get(task.script.sha256)!;
    bytes.set(task.script.sha256, Buffer.from("something else"));
    gateway.offer({ task, bytes });
    await until("it was asked for again", () => (gateway.fetched.get(task.script.sha256) ?? 0) >= 2);
    expect(dialer.executor.started).toEqual([]);
    gateway.blobs.set(task.script.sha256, right);
    dialer.executor.play(task.attemptId).exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited" });
  });

  it("ends an attempt as not started when its content stays wrong", async () => {
    await dial();
    const { task, bytes } = aTask();
    bytes.set(task.script.sha256, Buffer.from("something else"));
    gateway.offer({ task, bytes });
    await until("the end is confirmed", isEnded(task.attemptId), 20_000);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({
      lastSeq: 0,
      reason: "spawn_failed",
      error: { code: "STEP_SPAWN_FAILED", message: expect.stringContaining(task.script.sha256) },
    });
    expect(dialer.executor.started).toEqual([]);
  });

  it("says what is wrong with a task that it does not accept", async () => {
    await dial();
    const { task, bytes } = aTask();
    gateway.offer({ task: { ...task, runtime: "perl" as "node" }, bytes });
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.exitOf(task.attemptId)).toMatchObject({
      reason: "spawn_failed",
      error: { message: expect.stringContaining("runtime") },
    });
  });

  it.each([
    ["small", 8],
    ["large", 300_000],
  ])("brings a %s artifact's bytes before the frame that names them", async (_size, size) => {
    await dial();
    const content = Buffer.alloc(size, "#");
    const hash = sha256(content);
    await dialer.putBlob(content);
    const task = gateway.offer(aTask());
    dialer.executor.play(task.attemptId).artifact("report.md", hash, size).exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.framesOf(task.attemptId)).toContainEqual(
      expect.objectContaining({ name: "report.md", sha256: hash }),
    );
    expect(gateway.blobs.get(hash)).toEqual(content);
  });

  it("uses content that came along with the task, and fetches what came with other bytes", async () => {
    await dial();
    const { task, bytes } = aTask();
    const [script, input] = [task.script.sha256, task.input.sha256];
    const inline = { [script]: Buffer.from("other").toString("base64"), [input]: text(bytes.get(input)) };
    gateway.offer({ task: { ...task, inline } as typeof task, bytes });
    dialer.executor.play(task.attemptId).exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect([gateway.fetched.get(script), gateway.fetched.get(input)]).toEqual([1, undefined]);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "exited" });
  });

  it("loses an attempt whose artifact's bytes are gone, rather than to call it a success", async () => {
    await dial();
    const task = gateway.offer(aTask());
    dialer.executor.play(task.attemptId).artifact("report.md").exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.exitOf(task.attemptId)).toMatchObject({
      lastSeq: 1,
      reason: "lost",
      error: { code: "RUNNER_LOST", message: expect.stringContaining("are gone") },
    });
  });

  it("takes as many tasks as it has slots, and the next one when one has ended", async () => {
    await dial({ MAIA_RUNNER_SLOTS: "2" });
    const tasks = [1, 2, 3].map(() => gateway.offer(aTask()));
    const { started } = dialer.executor;
    await until("two run", () => started.length === 2);
    await until("it says that it has no room", () => gateway.lastPoll?.free === 0);
    expect(gateway.lastPoll).toMatchObject({ running: expect.arrayContaining([...started]) });
    dialer.executor.play(started[0]!).exit();
    await until("the third runs", () => started.length === 3);
    expect(new Set(started)).toEqual(new Set(tasks.map(({ attemptId }) => attemptId)));
  });

  it("does not acknowledge a task that it has no room for", async () => {
    await dial({ MAIA_RUNNER_SLOTS: "1" });
    const first = gateway.offer(aTask());
    await until("it runs", () => dialer.executor.started.length === 1);
    gateway.repeats = true; // a gateway that hands over whatever the room
    const second = gateway.offer(aTask());
    await until("it came", () => gateway.handed.has(second.attemptId));
    await until("another poll came", () => gateway.polls.at(-1)!.running.length === 1 && gateway.polls.length > 5);
    expect(gateway.polls.flatMap(({ gotTasks, running }) => [...gotTasks, ...running])).not.toContain(second.attemptId);
    gateway.repeats = false;
    dialer.executor.play(first.attemptId).exit();
    dialer.executor.play(second.attemptId).exit();
    await until("the second has ended too", isEnded(second.attemptId));
  });

  it("kills the tree of an attempt that the gateway has ended, and keeps nothing of it", async () => {
    await dial();
    const task = gateway.offer(aTask());
    await until("it runs", () => gateway.framesOf(task.attemptId).length === 1);
    gateway.end(task.attemptId);
    dialer.executor.play(task.attemptId).log("more");
    await until("it is killed", () => dialer.executor.canceled.length > 0);
    expect(dialer.executor.canceled).toEqual([[task.attemptId, "kill"]]);
    await until("nothing of it is kept", () => left("spool").length + left("unconfirmed").length === 0);
  });

  it("cancels an attempt once per command, and confirms the command (G16)", async () => {
    await dial();
    const task = gateway.offer(aTask());
    await until("it runs", () => dialer.executor.started.length === 1);
    const { attemptId, token } = task;
    gateway.command({ id: "cmd_1", type: "CANCEL", attemptId, token, mode: "stop" } as never);
    await until("the end is confirmed", isEnded(attemptId));
    expect(gateway.exitOf(attemptId)).toMatchObject({ reason: "canceled" });
    await until("the command is confirmed", () => gateway.isTaken("cmd_1"));
  });

  it("refuses an attempt that is canceled before its task came, and says so (G16)", async () => {
    await dial();
    const { task, bytes } = aTask();
    await until("it polls", () => gateway.polls.length > 0);
    gateway.offerLater(task, bytes);
    const { attemptId, token } = task;
    gateway.command({ id: "cmd_1", type: "CANCEL", attemptId, token, mode: "stop" } as never);
    await until("the end is confirmed", isEnded(attemptId));
    expect(gateway.exitOf(attemptId)).toMatchObject({ lastSeq: 0, reason: "canceled" });
    expect(dialer.executor.started).toEqual([]);
  });

  it("starts nothing that is canceled while its content is on its way (G16)", async () => {
    await dial();
    const { task, bytes } = aTask();
    const script = bytes.get(task.script.sha256)!;
    bytes.delete(task.script.sha256);
    gateway.intercept = (method, path) => (method === "GET" && path.endsWith(task.script.sha256) ? [503] : null);
    gateway.offer({ task, bytes });
    await until("it is in hand", () => gateway.lastPoll?.running.includes(task.attemptId) ?? false);
    gateway.command({ id: "cmd_1", type: "CANCEL", ...task, mode: "stop" } as never);
    await until("the end is confirmed", isEnded(task.attemptId));
    gateway.blobs.set(task.script.sha256, script);
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ lastSeq: 0, reason: "canceled" });
    expect(dialer.executor.started).toEqual([]);
  });

  it("tests a connection and says what came of it; what it does not know it confirms and passes over (G25)", async () => {
    await dial({ MAIA_URL_ALLOW: "127.0.0.1" });
    const { port } = gateway;
    gateway.command({ id: "cmd_1", type: "CONNECTIVITY", host: "127.0.0.1", port, timeoutMs: 2_000 } as never);
    gateway.command({ id: "cmd_2", type: "CONNECTIVITY", host: "169.254.169.254", port: 80 } as never);
    gateway.command({ id: "cmd_3", type: "DANCE" });
    await until("the results came", () => gateway.results.length === 2);
    expect(gateway.results).toContainEqual({ id: "cmd_1", result: { result: "SUCCESS", host: "127.0.0.1", port } });
    expect(gateway.results).toContainEqual({
      id: "cmd_2",
      result: expect.objectContaining({ result: "TIMEOUT", code: "URL_BLOCKED", detail: expect.any(String) }),
    });
    await until("all are confirmed", () => ["cmd_1", "cmd_2", "cmd_3"].every((id) => gateway.isTaken(id)));
  });

  it("leaves attempts alone while the gateway is away for less than their window (F51)", async () => {
    await dial();
    const task = gateway.offer(aTask({ reconnectWindowMs: 5_000 }));
    await until("it runs", () => gateway.framesOf(task.attemptId).length === 1);
    const turnedAway: string[] = [];
    gateway.intercept = (_method, path) => {
      turnedAway.push(path.split("/").at(-1)!);
      return [502];
    };
    dialer.executor.play(task.attemptId).log("meanwhile");
    const count = (what: string) => turnedAway.filter((path) => path === what).length;
    await until("polls and frames failed some times", () => count("poll") >= 3 && count("frames") >= 3);
    gateway.intercept = () => null;
    dialer.executor.play(task.attemptId).exit();
    await until("the end is confirmed", isEnded(task.attemptId), 15_000);
    expect(gateway.linesOf(task.attemptId)).toEqual(["meanwhile"]);
    expect(dialer.executor.canceled).toEqual([]);
  });

  it("keeps an attempt alive by polls alone, and kills it once they have failed for its window", async () => {
    await dial();
    const task = gateway.offer(aTask({ reconnectWindowMs: 800 }));
    await until("it runs", () => gateway.framesOf(task.attemptId).length === 1);
    const from = performance.now();
    await until("its window has passed twice", () => performance.now() - from > 1_600);
    expect(dialer.executor.canceled).toEqual([]);
    gateway.intercept = (_method, path) => (path.endsWith("/poll") ? "cut" : null);
    await until("it is killed", () => dialer.executor.canceled.length > 0);
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.exitOf(task.attemptId)).toMatchObject({ reason: "lost", error: { code: "RUNNER_LOST" } });
  });

  it("renews its token before it ends, and gets another one at once when it is refused", async () => {
    gateway.tokenSeconds = 1;
    await dial();
    await until("it was renewed", () => gateway.exchanges.length >= 3);
    const hellos = gateway.hellos.length;
    gateway.tokenSeconds = 900;
    await until("a long one is there", () => gateway.exchanges.length >= 4);
    const before = gateway.exchanges.length;
    gateway.dropTokens();
    const task = gateway.offer(aTask());
    dialer.executor.play(task.attemptId).exit();
    await until("the end is confirmed", isEnded(task.attemptId));
    expect(gateway.exchanges.length).toBeGreaterThan(before);
    expect(gateway.hellos).toHaveLength(hellos);
  });

  it("says hello again to a gateway that does not know it any more", async () => {
    await dial();
    await until("it polls", () => gateway.polls.length > 0);
    let isForgotten = true;
    gateway.intercept = (_method, path) => {
      if (!path.endsWith("/poll") || !isForgotten) return null;
      isForgotten = false;
      return [404, { code: "NOT_FOUND" }];
    };
    await until("it said hello again", () => gateway.hellos.length === 2);
  });

  it("waits as long as it is told to", async () => {
    let asked = 0;
    gateway.intercept = (_method, path, res) => {
      if (!path.endsWith("/instances") || asked++ > 0) return null;
      res.setHeader("retry-after", "1");
      return [503, { code: "BUSY" }];
    };
    const from = performance.now();
    await dial();
    await until("it is known", () => gateway.hellos.length === 1);
    expect(performance.now() - from).toBeGreaterThan(950);
  });

  it("does not follow a redirect with its credentials", async () => {
    await using elsewhere = await TestGateway.open();
    let redirected = 0;
    gateway.intercept = (_method, path, res) => {
      redirected++;
      res.setHeader("location", `${elsewhere.url}${path}`);
      return [307];
    };
    await dial();
    await until("it was told to go elsewhere", () => redirected >= 2);
    expect(elsewhere.exchanges).toEqual([]);
    gateway.intercept = () => null;
    await until("it is known", () => gateway.hellos.length === 1);
  });

  it("asks for nothing above its marks, and says its load", async () => {
    await dial({ MAIA_RUNNER_MEMORY_MARK: "0" });
    gateway.offer(aTask());
    await until("it polled some times", () => gateway.polls.length >= 3);
    expect(gateway.polls.every(({ free }) => free === 0)).toBe(true);
    const { memoryBytes = 0, memoryTotalBytes = 0 } = gateway.lastPoll!.load;
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThan(memoryTotalBytes);
    expect(dialer.executor.started).toEqual([]);
  });

  it("asks for nothing with too little room on its disk, where a task could only wait, and says so (G13)", async () => {
    await using home = await DialerHome.open();
    const runner = home.start(gateway.url, { MAIA_RUNNER_DISK_MIN: String(2 ** 50) });
    gateway.offer(aTask());
    await until("it polled some times", () => gateway.polls.length >= 3);
    expect(gateway.polls.every(({ free, accepting }) => free === 0 && accepting === false)).toBe(true);
    expect(runner.said()).toMatch(/the disk has too little room.*"leastMiB":1073741824/);
  });

  it("says goodbye when it has drained, and what did not end in time is lost (G22)", async () => {
    await dial();
    const [quick, slow] = [gateway.offer(aTask()), gateway.offer(aTask())];
    await until("both run", () => dialer.executor.started.length === 2);
    const stopped = dialer.stop();
    await until(
      "it says that it is stopping",
      () => gateway.lastPoll?.stopping === true && gateway.lastPoll.free === 0,
    );
    dialer.executor.play(quick.attemptId).exit();
    await stopped;
    expect(gateway.exitOf(quick.attemptId)).toMatchObject({ reason: "exited" });
    expect(gateway.exitOf(slow.attemptId)).toMatchObject({ reason: "lost", error: { code: "DRAIN_TIMEOUT" } });
    expect(gateway.goodbyes).toEqual(["ins_1"]);
  });
});
