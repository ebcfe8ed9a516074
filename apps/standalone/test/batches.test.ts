import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse } from "csv-parse/sync";
import { Deployment } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

interface Batch {
  id: string;
  status: string;
  itemCount: number;
  counts: Record<"waiting" | "queued" | "running" | "succeeded" | "failed" | "canceled", number>;
  failure: { code: string; message: string } | null;
  originBatchId?: string;
  [more: string]: unknown;
}

let maia: Deployment;
beforeAll(async () => {
  maia = await Deployment.start("local", { MAIA_CANCEL_GRACE_MS: "500" });
  await maia.client.apply({
    name: "greet",
    inputSpec: {
      version: 2,
      paramsSchema: {
        type: "object",
        properties: {
          name: { type: "string" },
          times: { type: "integer", default: 1 },
          fail: { type: "boolean", default: false },
        },
        required: ["name"],
        additionalProperties: false,
      },
    },
    outputsSpec: { version: 1, outputs: { said: { stepKey: "say", field: "said" } } },
    reuse: true,
    steps: [
      {
        key: "say",
        script: `export default async ({ params }) => {
          if (params.fail) throw new Error("as asked");
          return { said: Array(params.times).fill("Hello, " + params.name).join("; ") };
        }`,
      },
    ],
  });
  await maia.client.apply({
    name: "waits",
    steps: [{ key: "wait", runtime: "shell", script: "sleep 600" }],
  });
}, 120_000);
afterAll(() => maia[Symbol.asyncDispose]());

async function createBatch(request: object): Promise<Batch> {
  const answer = await maia.client.call<Batch>("POST", "/v1/batches", request);
  expect(answer).toMatchObject({ status: 201 });
  expect(answer.headers.get("location")).toBe(`/v1/batches/${answer.body.id}`);
  return answer.body;
}

const find = (id: string) => maia.client.get<Batch>(`/v1/batches/${id}`);

function ended(id: string): Promise<Batch> {
  return eventually(`batch ${id} has ended`, async () => {
    const batch = await find(id);
    return batch.status === "RUNNING" || batch.status === "PAUSED" ? null : batch;
  });
}

/** The results as CSV, and as objects by the names of their columns. */
async function results(id: string, query = ""): Promise<{ text: string; rows: Record<string, string>[] }> {
  const response = await fetch(`${maia.url}/v1/batches/${id}/results${query}`, {
    headers: { authorization: `Bearer ${maia.client.key}` },
  });
  expect(response.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const text = await response.text();
  return { text, rows: parse(text, { columns: true }) };
}

const move = (id: string, name: string) => maia.client.call<Batch>("POST", `/v1/batches/${id}/${name}`);

describe("a batch", () => {
  it("runs each row of a CSV once and gives the sheet back in its order, with what came out (G4)", async () => {
    const csv = '\ufeffname;times\r\n"Ann; the ""first""";2\r\nBob;\r\n"two\r\nlines";1\r\n=1+1;1\r\n-5;1\r\n';
    const itemsFile = { sha256: await maia.client.upload(csv), name: "people.csv" };
    const { id, itemCount } = await createBatch({ workflow: "greet", itemsFile, concurrency: 2 });
    expect(itemCount).toBe(5);
    expect(await ended(id)).toMatchObject({ status: "SUCCEEDED", failure: null, counts: { succeeded: 5, waiting: 0 } });
    const { rows, text } = await results(id);
    expect(rows.map((row) => [row.name, row.times, row["maia.row"], row["maia.status"], row["output.said"]])).toEqual([
      ['Ann; the "first"', "2", "2", "SUCCEEDED", 'Hello, Ann; the "first"; Hello, Ann; the "first"'],
      ["Bob", "1", "3", "SUCCEEDED", "Hello, Bob"],
      ["two\r\nlines", "1", "4", "SUCCEEDED", "Hello, two\r\nlines"],
      ["'=1+1", "1", "5", "SUCCEEDED", "Hello, =1+1"],
      ["-5", "1", "6", "SUCCEEDED", "Hello, -5"],
    ]);
    expect(text).toMatch(/^name,times,maia\.row,[^\r\n]*\r\n/);
    expect((await results(id, "?formulas=keep")).rows[3]?.name).toBe("=1+1");
    const jobs = await maia.client.get<{ items: Record<string, unknown>[] }>(`/v1/jobs?batchId=${id}`);
    expect(jobs.items.map(({ itemIndex, trigger, batchId }) => ({ itemIndex, trigger, batchId }))).toEqual(
      [4, 3, 2, 1, 0].map((itemIndex) => ({ itemIndex, trigger: "batch", batchId: id })),
    );
  });

  it("fails when a row does, and tries the failed rows again in a batch of their own", async () => {
    const items = ["a", "b", "c"].map((name, at) => ({ params: { name, fail: at !== 1 } }));
    const { id } = await createBatch({ workflow: "greet", items });
    const failed = await ended(id);
    expect(failed).toMatchObject({
      status: "FAILED",
      failure: { code: "ROWS_FAILED", message: "2 of 3 rows failed" },
      counts: { succeeded: 1, failed: 2 },
    });
    const again = await move(id, "retry");
    expect(again).toMatchObject({ status: 201, body: { originBatchId: id, itemCount: 2 } });
    expect(await ended(again.body.id)).toMatchObject({ status: "FAILED", counts: { failed: 2 } });
    const { rows } = await results(again.body.id);
    expect(rows.map((row) => [row.name, row["maia.row"], row["maia.failureCode"]])).toEqual([
      ["a", "1", "STEP_EXIT_CODE"],
      ["c", "3", "STEP_EXIT_CODE"],
    ]);
    expect(await find(id)).toEqual(failed);
  });

  it("stops after maxFailures: what is open ends, and nothing more is opened", async () => {
    const items = Array.from({ length: 50 }, (_, n) => ({ params: { name: `row ${n}`, fail: true } }));
    const { id } = await createBatch({ workflow: "greet", items, concurrency: 1, maxFailures: 2 });
    expect(await ended(id)).toMatchObject({
      status: "FAILED",
      failure: { code: "MAX_FAILURES" },
      counts: { failed: 2, waiting: 48 },
    });
    const { rows } = await results(id);
    expect(rows).toHaveLength(50);
    expect(rows.map((row) => row["maia.status"])).toEqual(["FAILED", "FAILED", ...Array(48).fill("NOT_STARTED")]);
  });

  it("holds while it is paused: nothing new starts until it is resumed, and others are not kept waiting", async () => {
    const items = Array.from({ length: 60 }, (_, n) => ({ params: { name: `row ${n}` } }));
    const { id } = await createBatch({ workflow: "greet", items, concurrency: 1 });
    expect(await move(id, "pause")).toMatchObject({ status: 202, body: { status: "PAUSED" } });
    expect(await move(id, "pause")).toMatchObject({ status: 202, body: { status: "PAUSED" } });
    await eventually("nothing runs", async () => (await find(id)).counts.running === 0);
    const held = await find(id);
    const other = await maia.client.submit("greet", { params: { name: "other" } });
    expect((await maia.client.finished(other.id)).status).toBe("SUCCEEDED");
    expect(await find(id)).toEqual(held);
    expect(await move(id, "resume")).toMatchObject({ status: 202, body: { status: "RUNNING" } });
    expect(await ended(id)).toMatchObject({ status: "SUCCEEDED", counts: { succeeded: 60 } });
    expect(await move(id, "pause")).toMatchObject({ status: 409, body: { code: "STATE_CONFLICT" } });
  });

  it("ends at once when it is canceled: what runs is stopped, what waits never starts", async () => {
    const { id } = await createBatch({ workflow: "waits", items: Array(20).fill({}), concurrency: 2 });
    await eventually("two rows run", async () => (await find(id)).counts.running === 2);
    expect(await move(id, "retry")).toMatchObject({ status: 409, body: { code: "STATE_CONFLICT" } });
    expect(await move(id, "cancel")).toMatchObject({ status: 202 });
    const batch = await ended(id);
    expect(batch).toMatchObject({
      status: "CANCELED",
      failure: null,
      counts: { canceled: 2, waiting: 18, running: 0 },
    });
    expect(await move(id, "cancel")).toMatchObject({ status: 409, body: { code: "STATE_CONFLICT" } });
    const rest = await maia.client.call<Batch>("POST", `/v1/batches/${id}/retry`, { rows: "unsuccessful" });
    expect(rest).toMatchObject({ status: 201, body: { itemCount: 20 } });
    await move(rest.body.id, "cancel");
    await ended(rest.body.id);
  });

  it("leaves the engine to others: a long batch does not keep a job waiting behind it", async () => {
    const items = Array.from({ length: 3_000 }, (_, n) => ({ params: { name: `row ${n}` } }));
    const { id } = await createBatch({ workflow: "greet", items, concurrency: 1_000 });
    await eventually("it runs", async () => (await find(id)).counts.succeeded > 0);
    const other = await maia.client.submit("greet", { params: { name: "other" } });
    expect((await maia.client.finished(other.id)).status).toBe("SUCCEEDED");
    expect((await find(id)).counts.waiting).toBeGreaterThan(0);
    await move(id, "cancel");
    expect(await ended(id)).toMatchObject({ status: "CANCELED", counts: { queued: 0, running: 0 } });
  });

  it("ends as its rows do where they are canceled one by one", async () => {
    const { id } = await createBatch({ workflow: "waits", items: [{}, {}], concurrency: 1 });
    for (const count of [1, 2]) {
      const job = await eventually("a row runs", async () => {
        const { items } = await maia.client.get<{ items: { id: string }[] }>(`/v1/jobs?batchId=${id}&status=RUNNING`);
        return items[0] ?? null;
      });
      await maia.client.call("POST", `/v1/jobs/${job.id}/cancel`);
      await eventually("it has ended", async () => (await find(id)).counts.canceled === count);
    }
    expect(await ended(id)).toMatchObject({ status: "CANCELED", counts: { canceled: 2 } });
  });
});

describe("the rows of a batch", () => {
  it("get their files, by upload and by URL, as any job does", async () => {
    const server = createServer((_, response) => response.end("from afar")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await using deployment = await Deployment.start("local", { MAIA_URL_ALLOW: `127.0.0.1:${port}` });
    const { client } = deployment;
    const script = `import { readFile } from "node:fs/promises";
      export default async ({ files }) => ({ texts: await Promise.all(files.map(({ path }) => readFile(path, "utf8"))) });`;
    const outputs = { texts: { stepKey: "read", field: "texts" } };
    await client.apply({ name: "reads", outputsSpec: { version: 1, outputs }, steps: [{ key: "read", script }] });
    const sha256 = await client.upload("from here");
    const url = `http://127.0.0.1:${port}/far.txt`;
    const lines = [
      { files: [{ name: "here.txt", sha256 }] },
      { urlFiles: [{ url }] },
      { files: [{ name: "a.txt", sha256 }], urlFiles: [{ url, name: "b.txt" }] },
    ];
    const itemsFile = { sha256: await client.upload(lines.map((line) => JSON.stringify(line)).join("\n")) };
    const { body } = await client.call<Batch>("POST", "/v1/batches", { workflow: "reads", itemsFile });
    await eventually(
      "it has ended",
      async () => (await client.get<Batch>(`/v1/batches/${body.id}`)).status !== "RUNNING",
    );
    const { items } = await client.get<{ items: { runId: string }[] }>(`/v1/jobs?batchId=${body.id}`);
    const runs = await Promise.all(items.toReversed().map(({ runId }) => client.run(runId)));
    expect(runs.map(({ outputs }) => outputs?.texts)).toEqual([
      ["from here"],
      ["from afar"],
      ["from here", "from afar"],
    ]);
    server.close();
  });

  it("run the version that was there when the batch was accepted (G5)", async () => {
    const version = (says: string) => ({
      name: "versions",
      reuse: true,
      outputsSpec: { version: 1, outputs: { says: { stepKey: "a", field: "says" } } },
      steps: [{ key: "a", script: `export default () => ({ says: "${says}" })` }],
    });
    await maia.client.apply(version("old"));
    const { id } = await createBatch({ workflow: "versions", items: Array(30).fill({}), concurrency: 1 });
    await maia.client.apply(version("new"));
    expect(await ended(id)).toMatchObject({ status: "SUCCEEDED", version: 1 });
    const { rows } = await results(id);
    expect(new Set(rows.map((row) => row["output.says"]))).toEqual(new Set(["old"]));
    await maia.client.call("POST", `/v1/batches/${id}/retry`, { rows: "unsuccessful", version: 2 }).then((answer) => {
      expect(answer).toMatchObject({ status: 409, body: { detail: "Every row has succeeded" } });
    });
  });
});

describe("a batch whose engine is killed", () => {
  it("has each row opened and run once, however often it is killed between them (G3, G4)", async () => {
    await using deployment = await Deployment.start("separate", {
      MAIA_LEASE_TTL_MS: "3000",
      MAIA_LEASE_RENEW_MS: "500",
    });
    const { client } = deployment;
    const script = "export default () => ({})";
    await client.apply({ name: "rows", reuse: true, steps: [{ key: "a", script }] });
    const csv = `n\n${Array.from({ length: 400 }, (_, n) => n).join("\n")}\n`;
    const itemsFile = { sha256: await client.upload(csv), format: "csv" };
    const made = await client.call<Batch>("POST", "/v1/batches", { workflow: "rows", itemsFile, concurrency: 30 });
    const find = () => client.get<Batch>(`/v1/batches/${made.body.id}`);
    for (let waiting = 400, kills = 0; kills < 4; kills++) {
      const goal = waiting - 40;
      waiting = await eventually("rows were opened", async () => {
        const { counts } = await find();
        return counts.waiting <= goal ? counts.waiting : null;
      });
      deployment.part("engine").signal("SIGKILL");
      await deployment.part("engine").ended();
      deployment.spawn("engine");
    }
    const batch = await eventually(
      "the batch has ended",
      async () => ((await find()).status === "RUNNING" ? null : find()),
      120_000,
    );
    expect(batch).toMatchObject({ status: "SUCCEEDED", counts: { succeeded: 400, waiting: 0 } });
    type Row = { itemIndex: number; runId: string; params: { n: number } };
    const jobs = await client.list<Row>(`/v1/jobs?batchId=${batch.id}`);
    const byIndex = jobs.map(({ itemIndex, params }) => [itemIndex, params.n]).sort(([a = 0], [b = 0]) => a - b);
    expect(byIndex).toEqual(Array.from({ length: 400 }, (_, n) => [n, n]));
    expect(new Set(jobs.map(({ runId }) => runId)).size).toBe(400);
  }, 240_000);
});

describe("a request for a batch whose API is killed", () => {
  it("makes one whole batch or none, and the same one when it is asked again (G2, G4)", async () => {
    await using deployment = await Deployment.start("local");
    const { client } = deployment;
    await client.apply({ name: "rows", reuse: true, steps: [{ key: "a", script: "export default () => ({})" }] });
    const csv = `n\n${Array.from({ length: 20_000 }, (_, n) => n).join("\n")}\n`;
    const itemsFile = { sha256: await client.upload(csv), format: "csv" };
    const request = { workflow: "rows", itemsFile, concurrency: 1 };
    const headers = { "idempotency-key": "the-one" };
    for (const afterMs of [0, 30, 80, 200]) {
      const answer = client.call<Batch>("POST", "/v1/batches", request, headers).catch(() => null);
      await new Promise((resolve) => setTimeout(resolve, afterMs)); // anywhere on its way
      deployment.part("up").signal("SIGKILL");
      await deployment.part("up").ended();
      await answer;
      deployment.spawn("up");
      await eventually("the API answers again", async () => (await fetch(`${deployment.url}/readyz`)).ok);
      const { items } = await client.get<{ items: Batch[] }>("/v1/batches");
      expect(items.map(({ itemCount }) => itemCount)).toEqual(items.length === 0 ? [] : [20_000]);
    }
    const made = await client.call<Batch>("POST", "/v1/batches", request, headers);
    const again = await client.call<Batch>("POST", "/v1/batches", request, headers);
    expect([made.status, again.status, again.body.id]).toEqual([201, 201, made.body.id]);
    expect((await client.get<{ items: Batch[] }>("/v1/batches")).items).toHaveLength(1);
    await client.call("POST", `/v1/batches/${made.body.id}/cancel`);
  }, 120_000);
});
