import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { readConfig } from "../src/config.js";
import { jobRows } from "./bad-input/jobs.js";
import { jsonRows } from "./bad-input/json.js";
import { rerunRows } from "./bad-input/reruns.js";
import type { Scene, Seen } from "./bad-input/row.js";
import { scheduleRows } from "./bad-input/schedules.js";
import { transportRows } from "./bad-input/transport.js";
import { versionRows } from "./bad-input/versions.js";
import { workflowRows } from "./bad-input/workflows.js";
import { openTestApi } from "./support.js";

let scene: Scene;

beforeAll(async () => {
  const { body } = readConfig({});
  expect(body.timeoutMs).toBeLessThanOrEqual(30_000);
  const api = await openTestApi({ body: { ...body, timeoutMs: 300 }, headersTimeoutMs: 1_000 });
  await api.put("/v1/workflows/hello", { steps: [{ key: "a", script: "x" }] });
  const { id, name } = (await api.post("/v1/projects", { name: "elsewhere" })).json;
  scene = { api, workflow: "hello", elsewhere: name, stranger: await api.keyOf("admin", [id]) };
});

afterAll(() => scene.api[Symbol.asyncDispose]());

/** A refusal is a problem document that says nothing about our insides. */
function expectProblem({ status, text }: Seen): void {
  const problem = JSON.parse(text);
  expect(problem).toMatchObject({ status, code: expect.stringMatching(/^[A-Z_]+$/), detail: expect.any(String) });
  expect(problem.requestId).toMatch(/./);
  expect(text).not.toMatch(/ at .+:\d+|node_modules|\.[jt]s:\d+|SELECT|Prisma|Error:/);
}

describe("bad input", () => {
  const rows = [
    ...transportRows,
    ...jsonRows,
    ...workflowRows,
    ...jobRows,
    ...scheduleRows,
    ...rerunRows,
    ...versionRows,
  ];

  it.each(rows.map((row) => [row.id, row.what, row] as const))(
    "%s: refuses %s, and serves the next one",
    async (_id, _what, row) => {
      const answers = [await row.send(scene)].flat() as Seen[];
      expect(answers.length).toBeGreaterThan(0);
      for (const answer of answers) {
        expect({ allowed: row.status, ...answer }).toMatchObject({
          status: row.status.includes(answer.status) ? answer.status : row.status,
        });
        if (answer.status >= 400) expectProblem(answer);
      }
      expect((await scene.api.get("/healthz")).status).toBe(200);
      expect((await scene.api.post("/v1/jobs", { workflow: scene.workflow })).status).toBe(201);
      expect(scene.api.logged.filter(({ level }) => level === "error")).toEqual([]);
    },
  );
});
