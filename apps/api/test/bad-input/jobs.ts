import { each, type Row, type Seen } from "./row.js";

export const jobRows: readonly Row[] = [
  {
    id: "B055",
    what: "workflows and versions that are unknown, deleted, unpublished or another project's",
    status: [404, 409],
    send: async ({ api, workflow, stranger }) => {
      await api.put("/v1/workflows/gone", { steps: [{ key: "a", script: "x" }] });
      await api.request("DELETE", "/v1/workflows/gone");
      await api.put("/v1/workflows/draft-only?publish=false", { steps: [{ key: "a", script: "x" }] });
      const { id } = (await api.get(`/v1/workflows/${workflow}`)).json;
      const draft = await api.post("/v1/jobs", { workflow: "draft-only" });
      if (draft.status !== 409 || draft.json.code !== "NO_VERSION")
        throw new Error(`a draft was answered ${draft.text}`);
      const odd = [
        { workflow: "ghost" },
        { workflow: "gone" },
        { workflow, version: 99 },
        { workflow, project: "ghost" },
        { workflow: "wf_ghost" },
      ];
      const mine = await each(odd, (body) => api.post("/v1/jobs", body));
      const theirs = await each([{ workflow: id }, { workflow }, { workflow: id, version: 1 }], (body) =>
        api.post("/v1/jobs", body, { key: stranger }),
      );
      return [draft, ...mine, ...theirs];
    },
  },
  {
    id: "B056",
    what: "idempotency keys that are none, come with another body, from another caller, or fifty at once",
    status: [400, 422],
    send: async ({ api, workflow, stranger, elsewhere }) => {
      const withKey = (key: string, body: object, caller?: string) =>
        api.post("/v1/jobs", body, { headers: { "Idempotency-Key": key }, ...(caller ? { key: caller } : {}) });
      const twins = await Promise.all(Array.from({ length: 50 }, () => withKey("fifty", { workflow })));
      const made = new Set(twins.filter(({ status }) => status === 201).map(({ json }) => json.id));
      if (made.size !== 1 || twins.some(({ status }) => status !== 201 && status !== 409))
        throw new Error("twins made several jobs");
      await api.put(`/v1/workflows/hello?project=${elsewhere}`, { steps: [{ key: "a", script: "x" }] });
      const theirs = await withKey("fifty", { workflow: "hello", project: elsewhere }, stranger);
      if (theirs.status !== 201 || made.has(theirs.json.id))
        throw new Error(`another caller was answered ${theirs.text}`);
      const odd: Seen[] = await each(["", "k".repeat(1_024), "a b", "é"], (key) => withKey(key, { workflow }));
      return [...odd, await withKey("fifty", { workflow, priority: 1 })];
    },
  },
  {
    id: "B058",
    what: "cancelling what has ended, is unknown, another project's, twice, a hundred times at once",
    status: [404, 409],
    send: async ({ api, workflow, stranger }) => {
      const { id } = (await api.post("/v1/jobs", { workflow })).json;
      const hundred = await Promise.all(Array.from({ length: 100 }, () => api.post(`/v1/jobs/${id}/cancel`)));
      const accepted = hundred.filter(({ status }) => status === 202).length;
      if (accepted !== 1) throw new Error(`${accepted} cancels of a queued job were accepted`);
      const ended = await api.db.sql.all(
        `SELECT "id" FROM "LogEvent" WHERE "kind" = 'job_status' AND "data" LIKE ?`,
        `%${id}%CANCELED%`,
      );
      if (ended.length !== 1) throw new Error(`the job ended ${ended.length} times`);
      return [
        await api.post(`/v1/jobs/${id}/cancel`),
        await api.post("/v1/jobs/job_ghost/cancel"),
        await api.post(`/v1/jobs/${id}/cancel`, undefined, { key: stranger }),
      ];
    },
  },
];
