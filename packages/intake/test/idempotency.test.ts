import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { aBlob, aPlace, ask, count, NOW, type Place, publish, refusal } from "./support.js";

let place: Place;
beforeEach(async () => {
  place = await aPlace();
  await publish(place, "hello");
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const keyed = { origin: { idempotencyKey: "k" } };
const request = { workflow: "hello", params: { a: 1, b: 2 } };

describe("a request with an Idempotency-Key (G2)", () => {
  it("makes one job, however often it comes and whatever the order of its members", async () => {
    const first = await ask(place, request, keyed);
    const again = await ask(place, { params: { b: 2, a: 1 }, workflow: "hello", priority: 0 }, keyed);
    expect(again).toEqual({ jobId: first.jobId, replayed: true });
    expect(await count(place, "JobRun")).toBe(1);
  });

  it("makes one job when fifty come at once (B056)", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(place, request, keyed)));
    expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect([await count(place, "JobRun"), await count(place, "LogEvent")]).toEqual([1, 1]);
  });

  it("is refused when the key came with something else, files included (B056)", async () => {
    const [one, two] = [
      await aBlob(place, place.projectId, "1".repeat(64)),
      await aBlob(place, place.projectId, "2".repeat(64)),
    ];
    const withFile = (sha256: string) => ({ ...request, files: [{ name: "a", sha256 }] });
    await ask(place, withFile(one), keyed);
    expect(await refusal(ask(place, request, keyed))).toEqual(["IDEMPOTENCY_KEY_REUSED"]);
    expect(await refusal(ask(place, withFile(two), keyed))).toEqual(["IDEMPOTENCY_KEY_REUSED"]);
    expect(await ask(place, withFile(one), keyed)).toMatchObject({ replayed: true });
  });

  it("counts bytes that come along like bytes that came before", async () => {
    const sha256 = await aBlob(place, place.projectId, "1".repeat(64));
    const { jobId } = await ask(place, { ...request, files: [{ name: "a", sha256 }] }, keyed);
    const uploads = [{ name: "a", sha256, sizeBytes: 7, mime: "text/csv" }];
    expect(await ask(place, request, { ...keyed, uploads })).toEqual({ jobId, replayed: true });
  });

  it("is each caller's own (B056)", async () => {
    const first = await ask(place, request, keyed);
    const other = await ask(place, { workflow: "hello" }, { ...keyed, caller: { principal: "key_b", projects: null } });
    expect(other).toMatchObject({ replayed: false });
    expect(other.jobId).not.toBe(first.jobId);
  });

  it("is answered the same even when the workflow is gone", async () => {
    const { jobId } = await ask(place, request, keyed);
    await place.db.write((tx) => tx.models.workflow.updateMany({ data: { deletedAt: NOW } }));
    expect(await ask(place, request, keyed)).toEqual({ jobId, replayed: true });
  });

  it("is forgotten after its time", async () => {
    await ask(place, request, keyed);
    const later = new Date(NOW.getTime() + 1_000);
    expect(await ask(place, { workflow: "hello" }, { ...keyed, now: later })).toMatchObject({ replayed: false });
    expect(await ask(place, { workflow: "hello" }, { ...keyed, now: later })).toMatchObject({ replayed: true });
    expect(await count(place, "IdempotencyKey")).toBe(1);
  });

  it("is not used up by a request that is refused", async () => {
    expect(await refusal(ask(place, { workflow: "nobody" }, keyed))).toEqual(["NOT_FOUND"]);
    expect(await ask(place, request, keyed)).toMatchObject({ replayed: false });
  });

  it("may be left out, and then each request makes a job", async () => {
    await Promise.all([ask(place, request), ask(place, request)]);
    expect(await count(place, "JobRun")).toBe(2);
  });
});
