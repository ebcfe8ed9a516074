import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { FakeApi, sendJson } from "./fake-api.js";
import { Maia, maia } from "./run-maia.js";

const time = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const step = {
  key: "parse",
  name: "",
  runtime: "node",
  deps: [],
  status: "RUNNING",
  nextAttemptAt: null,
  startedAt: null,
  finishedAt: null,
  attempts: [],
};
const run = {
  id: "run_1",
  jobId: "job_1",
  workflow: "report",
  workflowId: "wf_1",
  version: 3,
  createdAt: time(0),
  startedAt: time(0),
  finishedAt: null,
  outputs: null,
  failure: null,
  steps: [step],
};
const job = {
  id: "job_1",
  workflow: "report",
  workflowId: "wf_1",
  version: 3,
  runId: "run_1",
  createdAt: time(0),
  startedAt: time(0),
  finishedAt: null,
};

const log = (...lines: string[]) =>
  [
    "log_line",
    { stepKey: "parse", attemptNo: 1, lines: lines.map((line, seq) => ({ seq, at: time(2), stream: "stdout", line })) },
  ] as const;
const events = [
  ["run_status", { status: "RUNNING", at: time(0) }],
  ["step_status", { stepKey: "parse", status: "RUNNING", at: time(1) }],
  log("hello", "data: not an event"),
  log("bye"),
  ["step_status", { stepKey: "parse", status: "SUCCEEDED", at: time(3) }],
] as const;

let api: FakeApi;
let status: string;

/** Sends the events with ids from `from` to `to`, counted from 1. */
function stream(response: ServerResponse, from: number, to: number, last: object | null = null): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  const all = last ? [...events, ["run_status", { runId: "run_1", at: time(4), ...last }] as const] : events;
  for (let id = from; id <= Math.min(to, all.length); id++) {
    const [kind, data] = all[id - 1]!;
    response.write(`id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify({ runId: "run_1", ...data })}\n\n`);
  }
}

function end(as: string, failure: object | null = null): object {
  status = as;
  return { status: as, failure };
}

beforeEach(async () => {
  status = "RUNNING";
  api = await FakeApi.start();
  api.on("POST /v1/jobs", { ...job, status: "QUEUED", runId: null }, 201);
  api.on("GET /v1/jobs/job_1", (_, response) => sendJson(response, 200, { ...job, status }));
  api.on("GET /v1/runs/run_1", (_, response) =>
    sendJson(response, 200, {
      ...run,
      status,
      outputs: status === "SUCCEEDED" ? { rows: 3 } : null,
      finishedAt: time(4),
    }),
  );
  api.on("GET /v1/runs/run_1/artifacts", { items: [], nextCursor: null });
});
afterEach(() => api[Symbol.asyncDispose]());

const connected = () => ({ env: { MAIA_URL: api.url, MAIA_API_KEY: "k" } });
const succeeding = (_: unknown, response: ServerResponse) => {
  stream(response, 1, 9, end("SUCCEEDED"));
  response.end();
};

describe("following a run into a pipe", () => {
  it("prints one line per change, each log line as it is, and the result", async () => {
    api.on("GET /v1/runs/run_1/events", succeeding);
    const { code, stdout, stderr } = await maia(["run", "report", "--follow"], connected());
    expect(stdout.split("\n")).toEqual([
      "run run_1 RUNNING",
      "step parse RUNNING",
      "[parse] hello",
      "[parse] data: not an event",
      "[parse] bye",
      "step parse SUCCEEDED in 2.0s",
      "run run_1 SUCCEEDED",
      "✓ SUCCEEDED in 4.0s  report v3  run_1",
      "Outputs",
      "  rows  3",
      "",
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "Next: maia runs show run_1\n" });
  });

  it("goes on where it was after each lost connection, with nothing lost or repeated (G15)", async () => {
    const seen: (string | undefined)[] = [];
    api.on("GET /v1/runs/run_1/events", ({ headers }, response) => {
      const after = Number(headers["last-event-id"] ?? 0);
      seen.push(headers["last-event-id"] as string | undefined);
      if (seen.length === 2) return void response.destroy();
      stream(response, after + 1, after + 2, seen.length > 4 ? end("SUCCEEDED") : null);
      if (after + 2 >= 6) return void response.end();
      response.write("id: 99\nevent: log_l"); // cut in the middle of an event
      setImmediate(() => response.destroy());
    });
    const { code, stdout } = await maia(["run", "report", "--follow"], connected());
    expect(seen).toEqual([undefined, "2", "2", "4", "5"].map((id) => id).slice(0, seen.length));
    expect(stdout.match(/\[parse\] .*/g)).toEqual(["[parse] hello", "[parse] data: not an event", "[parse] bye"]);
    expect(stdout).toMatch(/The connection was lost, reconnecting …\nReconnected, nothing is lost \(event 3\)/);
    expect(code).toBe(0);
  });

  it("ends when the run has ended and nothing more is to come", async () => {
    let asked = 0;
    api.on("GET /v1/runs/run_1/events", (_, response) => {
      if (asked++ > 0) return void response.writeHead(204).end();
      stream(response, 1, 5);
      end("SUCCEEDED");
      response.end();
    });
    expect((await maia(["runs", "watch", "run_1"], connected())).code).toBe(0);
  });

  it("prints nothing but one JSON document on stdout with --json", async () => {
    api.on("GET /v1/runs/run_1/events", succeeding);
    const { stdout, stderr } = await maia(["run", "report", "--follow", "--json"], connected());
    expect(JSON.parse(stdout)).toMatchObject({ id: "run_1", status: "SUCCEEDED", artifacts: [] });
    expect(stderr).toContain("[parse] hello");
  });
});

describe("the end of a run", () => {
  it.each([
    ["FAILED", 10],
    ["CANCELED", 11],
  ] as const)("%s is exit code %d, also for --wait", async (as, code) => {
    const failure = as === "FAILED" ? { code: "STEP_EXIT_CODE", message: "exit code 3", stepKey: "parse" } : null;
    api.on("GET /v1/runs/run_1/events", (_, response) => {
      stream(response, 1, 9, end(as, failure));
      response.end();
    });
    api.on("GET /v1/runs/run_1", (_, response) =>
      sendJson(response, 200, { ...run, status, failure: status === as ? failure : null, finishedAt: time(4) }),
    );
    const { stdout, ...rest } = await maia(["run", "report", "--wait"], connected());
    expect(rest.code).toBe(code);
    expect(stdout).toMatch(new RegExp(`^. ${as} in 4.0s`));
    if (failure)
      expect(stdout + rest.stderr).toMatch(
        /step parse: STEP_EXIT_CODE: exit code 3\n.*maia runs logs run_1 --step parse/,
      );
  });

  it("of a job that never ran is shown as its own", async () => {
    const failure = { code: "QUEUE_TIMEOUT", message: "nobody took it" };
    api.on("GET /v1/jobs/job_1", { ...job, runId: null, status: "FAILED", failure, finishedAt: time(9) });
    const { code, stdout } = await maia(["run", "report", "--follow"], connected());
    expect({ code, stdout }).toEqual({
      code: 10,
      stdout: "✕ FAILED in 9.0s  report v3  job_1\n  QUEUE_TIMEOUT: nobody took it\n",
    });
  });
});

describe("leaving early", () => {
  beforeEach(() => {
    api.on("GET /v1/runs/run_1/events", (_, response) => stream(response, 1, 4));
  });

  it("with Ctrl-C detaches, says how to cancel, and exits 130", async () => {
    const following = new Maia(["run", "report", "--follow"], connected());
    await following.printed(/bye/);
    following.child.kill("SIGINT");
    const { code, stderr } = await following.done;
    expect({ code, stderr }).toEqual({
      code: 130,
      stderr: expect.stringMatching(/It goes on\. .*maia runs watch job_1\n.*maia runs cancel job_1/),
    });
    expect(api.asked.some(({ line }) => line.includes("cancel"))).toBe(false);
  });

  it("after a timeout exits 12, and the run goes on", async () => {
    const { code, stderr } = await maia(["run", "report", "--wait", "--timeout", "0.3s"], connected());
    expect({ code, stderr }).toEqual({
      code: 12,
      stderr: expect.stringMatching(/^maia: Not ended within 0\.3s\nIt goes on/),
    });
  });

  it("is quiet when the reader of a pipe has enough", async () => {
    const following = new Maia(["run", "report", "--follow"], connected());
    await following.printed(/RUNNING/);
    following.child.stdout?.destroy();
    api.on("GET /v1/runs/run_1/events", succeeding);
    following.child.kill("SIGINT");
    expect((await following.done).stderr).not.toContain("EPIPE");
  });
});

describe("following on a terminal", () => {
  it("draws the tree in place, scrolls the log above it, and leaves the cursor visible", async () => {
    jest.useFakeTimers();
    const { LiveShow } = await import("../src/follow/show.js");
    const { applyEvent, openView } = await import("../src/follow/run-view.js");
    let written = "";
    const terminal = {
      print: () => {},
      note: () => {},
      passing: () => {},
      write: (text: string) => {
        written += text;
      },
      isTty: true,
      columns: 60,
      rows: 20,
      paint: (_: unknown, text: string) => text,
      onResize: () => () => {},
    };
    const show = new LiveShow(terminal);
    let view = openView({ ...run, status: "RUNNING" });
    const tell = (...list: readonly (typeof events)[number][]) => {
      const told = list.map(([kind, data], id) => ({ id: String(id), kind, data }) as never);
      view = told.reduce(applyEvent, view);
      show.update(view, told);
    };
    tell(events[0], events[1], events[2]);
    jest.advanceTimersByTime(100); // at least one frame
    tell(events[3], events[4]);
    show.close();
    jest.useRealTimers();
    expect(written.match(/\[parse\] [^\u001b]*/g)).toEqual([
      "[parse] hello",
      "[parse] data: not an event",
      "[parse] bye",
    ]);
    expect(written).toContain("\u001b[3F"); // the frame of three lines was overwritten where it stood
    expect(written).not.toContain("\u001b[2J");
    expect(written.endsWith("\u001b[?25h")).toBe(true);
    expect(written.split("\u001b[?2026h").at(-1)).toMatch(/✓ parse +SUCCEEDED/);
  });
});
