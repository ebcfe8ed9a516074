import { anAttempt, aRun, aWorkflow, endRun } from "../rows.js";
import { each, postText, type Row, type Seen } from "./row.js";

const ROUTE = (runId: string) => `/v1/runs/${runId}/rerun`;

export const rerunRows: readonly Row[] = [
  {
    id: "B059",
    what: "re-runs of runs that go on, are unknown, another project's, or of a workflow that is gone",
    status: [404, 409],
    send: async ({ api, stranger }) => {
      const workflow = await aWorkflow(api, "again-live");
      const live = await aRun(api, workflow);
      const attemptId = await anAttempt(api, live);
      const goesOn = await each([{}, { from: "first" }, { attemptId }], (body) => api.post(ROUTE(live.id), body));
      if (goesOn.some(({ status }) => status !== 409)) throw new Error("a live run was done again");
      await endRun(api, live);
      const theirs = await api.post(ROUTE(live.id), {}, { key: stranger });
      const unknown = await each(["run_ghost", live.jobId, "%20"], (id) => api.post(ROUTE(id), {}));
      await api.request("DELETE", "/v1/workflows/again-live");
      return [
        ...goesOn,
        theirs,
        ...unknown,
        await api.post(ROUTE(live.id), {}),
        await api.post(`/v1/jobs/${live.jobId}/retry`, {}),
      ];
    },
  },
  {
    id: "B059",
    what: "a hundred re-runs at once under one key, and the key for something else",
    status: [422],
    send: async ({ api }) => {
      const run = await aRun(api, await aWorkflow(api, "again-twins"));
      await endRun(api, run);
      const ask = (body: object) => api.post(ROUTE(run.id), body, { headers: { "Idempotency-Key": "again" } });
      const twins = await Promise.all(Array.from({ length: 100 }, () => ask({ from: "second" })));
      const made = new Set(twins.filter(({ status }) => status === 201).map(({ json }) => json.id));
      if (made.size !== 1 || twins.some(({ status }) => status !== 201 && status !== 409))
        throw new Error("twins made several jobs");
      return each([{}, { from: "first" }, { params: {} }], ask);
    },
  },
  {
    id: "B059",
    what: "steps and attempts that the run does not have, and wishes that contradict each other",
    status: [422],
    send: async ({ api }) => {
      const workflow = await aWorkflow(api, "again-odd");
      const [run, other] = [await aRun(api, workflow), await aRun(api, workflow)];
      const [mine, theirs] = [await anAttempt(api, run), await anAttempt(api, other)];
      await endRun(api, run);
      const odd: [pointer: string, body: object][] = [
        ["/from", { from: "ghost" }],
        ["/from", { from: "FIRST" }],
        ["/from", { from: "" }],
        ["/from", { from: "__proto__" }],
        ["/from", { from: "x".repeat(10_000) }],
        ["/attemptId", { attemptId: "att_ghost" }],
        ["/attemptId", { attemptId: theirs }],
        ["/attemptId", { attemptId: mine, from: "first" }],
        ["/params", { from: "first", params: {} }],
        ["/params", { attemptId: mine, params: {} }],
        ["/params/files", { params: { files: [] } }],
        ["/step", { step: "first" }],
        ["/version", { version: 2 }],
      ];
      const answers: Seen[] = [];
      for (const [pointer, body] of odd) {
        const answer = await api.post(ROUTE(run.id), body);
        if (answer.json.errors?.[0]?.pointer !== pointer) throw new Error(`${pointer}: ${answer.text}`);
        answers.push(answer);
      }
      return answers;
    },
  },
  {
    id: "B025",
    what: "a re-run with keys that reach for JavaScript's own",
    status: [422],
    send: async (scene) => {
      const run = await aRun(scene.api, await aWorkflow(scene.api, "again-proto"));
      await endRun(scene.api, run);
      const odd = [
        '{"params":{"__proto__":{"admin":true}}}',
        '{"__proto__":{"from":"first"}}',
        '{"params":{"a":{"constructor":1}}}',
      ];
      const answers = await each(odd, (text) => postText(scene, ROUTE(run.id), text));
      if ("admin" in {}) throw new Error("the prototype of all objects was changed");
      return answers;
    },
  },
  {
    id: "B031",
    what: "a re-run with other kinds where a string is due",
    status: [422],
    send: async ({ api }) => {
      const run = await aRun(api, await aWorkflow(api, "again-kinds"));
      await endRun(api, run);
      const kinds = [{ not: "" }, [], null, true, 5];
      const answers = await each(kinds, (value) => api.post(ROUTE(run.id), { from: value }));
      const attempts = await each(kinds, (value) => api.post(ROUTE(run.id), { attemptId: value }));
      const bodies = await each([[], "text", 5, null], (body) => api.post(ROUTE(run.id), body));
      return [
        ...answers,
        ...attempts,
        ...bodies,
        ...(await each([[], null, "x"], (params) => api.post(ROUTE(run.id), { params }))),
      ];
    },
  },
];
