import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { BlobStore } from "./blob-store.js";

const whole = randomBytes(1_000);
const sha256 = createHash("sha256").update(whole).digest("hex");
const name = { scope: "prj_a", sha256 };

let folder: string;
let tmp: string;
let store: BlobStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-uploads-"));
  tmp = join(folder, "tmp");
  store = await BlobStore.open(join(folder, "blobs"), tmp);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const bytesOf = (bytes: Uint8Array) => Readable.from([bytes]);
const part = (from: number, to: number, bytes: Uint8Array = whole.subarray(from, to)) => ({
  from,
  to,
  bytes: bytesOf(bytes),
});
const put = (from: number, to: number, of = name) => store.putPart(of, part(from, to), 1_000);

describe("a blob that comes in parts", () => {
  it("is there once the last part is, and not before (G18)", async () => {
    expect(await put(0, 400)).toEqual({ state: "kept", offset: 400 });
    expect(await put(400, 401)).toEqual({ state: "kept", offset: 401 });
    expect([await store.has(sha256), await store.uploads.offset(name)]).toEqual([false, 401]);
    expect(await put(401, 1_000)).toEqual({ state: "complete", made: { sha256, sizeBytes: 1_000, known: false } });
    expect((await readFile(store.path(sha256))).equals(whole)).toBe(true);
    expect([await store.uploads.offset(name), await readdir(tmp)]).toEqual([0, []]);
  });

  it("is told where it goes on when a part is not the one that is due", async () => {
    await put(0, 400);
    for (const from of [0, 399, 401, 999]) expect(await put(from, 1_000)).toEqual({ state: "refused", offset: 400 });
    expect(await put(400, 1_000)).toMatchObject({ state: "complete" });
  });

  it("keeps what came of a part that breaks off, and nothing of what came too much", async () => {
    const bytes = new PassThrough();
    const broken = store.putPart(name, { from: 0, to: 1_000, bytes }, 1_000);
    bytes.write(whole.subarray(0, 300));
    while ((await store.uploads.offset(name)) < 300) await new Promise(setImmediate);
    bytes.destroy(new Error("the line is cut"));
    await expect(broken).rejects.toThrow("the line is cut");
    const tooMany = store.putPart(name, part(300, 350, whole.subarray(300, 500)), 1_000);
    await expect(tooMany).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(await store.uploads.offset(name)).toBe(350);
    const above = store.putPart(name, part(350, 1_000, Buffer.concat([whole.subarray(350), whole])), 1_000);
    await expect(above).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(await put(1_000, 1_000)).toMatchObject({ state: "complete" });
  });

  it("is refused with other bytes, which are dropped", async () => {
    await put(0, 400);
    const wrong = store.putPart(name, part(400, 1_000, randomBytes(600)), 1_000);
    await expect(wrong).rejects.toMatchObject({ code: "HASH_MISMATCH" });
    expect([await store.has(sha256), await store.uploads.offset(name), await readdir(tmp)]).toEqual([false, 0, []]);
    const short = store.putPart(name, part(0, 10), 10);
    await expect(short).rejects.toMatchObject({ code: "HASH_MISMATCH" });
  });

  it("is apart for each project, and the same blob in the end", async () => {
    const other = { ...name, scope: "prj_b" };
    await put(0, 400);
    expect(await store.uploads.offset(other)).toBe(0);
    await put(0, 500, other);
    expect(await put(400, 1_000)).toMatchObject({ state: "complete", made: { known: false } });
    expect(await put(500, 1_000, other)).toMatchObject({ state: "complete", made: { known: true } });
    expect(await readdir(tmp)).toEqual([]);
  });

  it("goes on from a sender that has fallen silent, and from no other", async () => {
    const bytes = new PassThrough();
    const silent = store.putPart(name, { from: 0, to: 1_000, bytes }, 1_000);
    silent.catch(() => {});
    bytes.write(whole.subarray(0, 300));
    while ((await store.uploads.offset(name)) < 300) await new Promise(setImmediate);
    expect(await put(300, 1_000)).toEqual({ state: "refused", offset: 300 });
    let outcome = await put(300, 1_000);
    while (outcome.state === "refused") outcome = await put(300, 1_000);
    expect(outcome).toMatchObject({ state: "complete" });
    await expect(silent).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    expect(await store.verify(sha256)).toBe(true);
  });

  it("is right whoever sends it how often at once, in one process or in several", async () => {
    const south = await BlobStore.open(join(folder, "blobs"), tmp);
    const send = async (to: BlobStore) => {
      for (let from = 0; !(await to.has(sha256)); ) {
        const outcome = await to.putPart(name, part(from, Math.min(from + 100, 1_000)), 1_000);
        from = outcome.state === "complete" ? 0 : outcome.offset;
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, i) => send(i % 2 === 0 ? store : south)));
    expect(await store.verify(sha256)).toBe(true);
  });

  it("is taken up after a crash from where its file ends, the longer of two (F02)", async () => {
    await put(0, 100);
    const dead = `blob-${/blob-(\d+)-/.exec((await import("./temp-files.js")).tempName())![1]}-4194304-1-00.part-prj_a-${sha256}`;
    await writeFile(join(tmp, dead), whole.subarray(0, 600));
    await writeFile(join(tmp, dead.replace("-00.", "-01.")), whole.subarray(0, 50));
    store = await BlobStore.open(join(folder, "blobs"), tmp);
    expect([await store.uploads.offset(name), (await readdir(tmp)).length]).toEqual([600, 1]);
    expect(await put(600, 1_000)).toMatchObject({ state: "complete" });
  });

  it("is forgotten when it has not grown for long", async () => {
    await put(0, 100);
    await put(0, 100, { ...name, scope: "prj_b" });
    const now = new Date();
    await utimes(join(tmp, `part-prj_a-${sha256}`), 1, 1);
    expect(await store.uploads.dropStale(new Date(now.getTime() - 60_000))).toBe(1);
    expect([await store.uploads.offset(name), (await readdir(tmp)).length]).toEqual([0, 1]);
  });

  it("has a scope and a hash that are names, not paths (B033)", async () => {
    for (const odd of [
      { scope: "../x", sha256 },
      { scope: "", sha256 },
      { scope: "a", sha256: "../../x" },
    ])
      await expect(store.uploads.offset(odd)).rejects.toMatchObject({ code: "INVALID" });
  });
});
