import { expect, it, jest } from "@jest/globals";
import type { SseEvent } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { eventually } from "../support/processes.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

it("an API that is killed while 200 jobs are asked for keeps all that it answered, and makes one of each that is asked for again (F01, G1, G2)", async () => {
  await using maia = await Deployment.start("separate", {}, 0);
  const { client } = maia;
  await client.apply({ name: "one", steps: [{ key: "a", script: "export default () => ({})" }] });
  const acked = new Map<string, string>();
  const ask = async (key: string): Promise<boolean> => {
    const answer = await client
      .call<{ id: string }>("POST", "/v1/jobs", { workflow: "one" }, { "idempotency-key": key })
      .catch(() => null); // the API died
    if (answer?.status !== 201) return false;
    if (acked.has(key) && acked.get(key) !== answer.body.id) throw new Error(`${key} became two jobs`);
    acked.set(key, answer.body.id);
    return true;
  };
  const keys = Array.from({ length: 200 }, (_, i) => `job-${i}`);
  const first = keys.map((key, i) => new Promise((resolve) => setTimeout(() => resolve(ask(key)), i * 2)));
  await eventually("some are answered", async () => acked.size >= 20);
  maia.part("api").signal("SIGKILL");
  await Promise.all([...first, maia.part("api").ended()]);
  const answeredBefore = new Map(acked);
  expect(answeredBefore.size).toBeLessThan(200);
  maia.spawn("api");
  await eventually("the API is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
  for (const id of answeredBefore.values()) expect((await client.job(id)).status).toBe("QUEUED");
  for (const key of keys) expect(await ask(key)).toBe(true);
  const ids = new Set((await client.list<{ id: string }>("/v1/jobs")).map(({ id }) => id));
  expect(ids).toEqual(new Set(acked.values()));
  expect(ids.size).toBe(200);
});

it("an API that is killed with fifty followers of a run loses none of them an event, and repeats none (F05, G15)", async () => {
  await using maia = await Deployment.start("separate", {}, 1);
  const { client } = maia;
  const script = "for i in $(seq 1 60); do echo line $i; sleep 0.05; done";
  await client.apply({ name: "talk", steps: [{ key: "a", runtime: "shell", script }] });
  const { id } = await client.submit("talk");
  const { runId } = await eventually("the run is there", async () => {
    const job = await client.job(id);
    return job.runId ? job : null;
  });
  const follow = async (seen: SseEvent[]): Promise<SseEvent[]> => {
    for (;;) {
      const after = seen.at(-1)?.id;
      const ended = await client
        .events(runId ?? "", { ...(after ? { after } : {}), stop: (event) => seen.push(event) === -1 })
        .then(() => true)
        .catch(() => false); // the API died
      if (ended) return seen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const seen = Array.from({ length: 50 }, (): SseEvent[] => []);
  const followers = seen.map(follow);
  for (let deaths = 0; deaths < 2; deaths++) {
    const before = seen.map(({ length }) => length);
    await eventually("every follower hears", async () => seen.every(({ length }, i) => length > (before[i] ?? 0)));
    await maia.part("api").kill();
    maia.spawn("api");
  }
  await Promise.all(followers);
  await eventually("the API is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
  const whole = await client.events(runId ?? "");
  expect(whole.at(-1)).toMatchObject({ event: "run_status", data: { status: "SUCCEEDED" } });
  for (const events of seen) expect(events).toEqual(whole);
});
