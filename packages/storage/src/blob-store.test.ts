import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { BlobStore } from "./blob-store.js";
import { isDiskFull } from "./files.js";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const text = (value: string) => new TextEncoder().encode(value);

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield text(part);
}

let folder: string;
let blobs: string;
let tmp: string;
let store: BlobStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-blobs-"));
  blobs = join(folder, "blobs");
  tmp = join(folder, "tmp");
  store = await BlobStore.open(blobs, tmp);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("putting and reading", () => {
  it("keeps bytes under their hash and gives them back, whole or in part", async () => {
    const { sha256: name, ...rest } = await store.put(chunks("hello ", "", "blob"));
    expect(rest).toEqual({ sizeBytes: 10, known: false });
    expect(name).toBe(sha256(text("hello blob")));
    expect(store.path(name)).toBe(join(blobs, name.slice(0, 2), name.slice(2)));
    expect(await readFile(store.path(name), "utf8")).toBe("hello blob");
    expect(String(await buffer(store.read(name)))).toBe("hello blob");
    expect(String(await buffer(store.read(name, { start: 1, end: 4 })))).toBe("ello");
    expect(await store.size(name)).toBe(10);
    expect(await store.verify(name)).toBe(true);
    expect(await readdir(tmp)).toEqual([]);
  });

  it("says when it knew the bytes before, and makes them young again", async () => {
    const { sha256: name } = await store.put(text("twice"));
    await utimes(store.path(name), 1, 1);
    expect(await store.put(text("twice"))).toMatchObject({ sha256: name, known: true });
    expect((await stat(store.path(name))).mtimeMs).toBeGreaterThan(1_000);
    await utimes(store.path(name), 1, 1);
    expect(await store.put(chunks("tw", "ice"))).toMatchObject({ known: true });
    expect((await stat(store.path(name))).mtimeMs).toBeGreaterThan(1_000);
  });

  it("keeps the empty blob like any other", async () => {
    const { sha256: name, sizeBytes } = await store.put(chunks());
    expect(sizeBytes).toBe(0);
    expect(await store.has(name)).toBe(true);
    expect((await buffer(store.read(name))).length).toBe(0);
  });

  it("takes the same bytes from fifty writers at once and keeps them once (G18)", async () => {
    const puts = Array.from({ length: 50 }, () => store.put(chunks("same ", "bytes")));
    const names = new Set((await Promise.all(puts)).map((blob) => blob.sha256));
    expect(names.size).toBe(1);
    expect((await Array.fromAsync(store.list())).map(({ sizeBytes }) => sizeBytes)).toEqual([10]);
    expect(await readdir(tmp)).toEqual([]);
  });

  it("keeps reading a blob that is removed meanwhile", async () => {
    const { sha256: name } = await store.put(text("x".repeat(1_000_000)));
    const reading = store.read(name);
    await new Promise((resolve) => reading.once("open", resolve));
    await store.remove(name);
    expect((await buffer(reading)).length).toBe(1_000_000);
    expect(await store.has(name)).toBe(false);
    expect(await store.size(name)).toBeNull();
    await store.remove(name);
  });
});

describe("refusing", () => {
  it("refuses what is no hash, so that no name leads out of the store", () => {
    for (const name of ["", "../../etc/passwd", "A".repeat(64), "a".repeat(63), `${"a".repeat(64)}\n`]) {
      expect(() => store.path(name)).toThrow(expect.objectContaining({ code: "INVALID" }));
    }
  });

  it("refuses bytes with another hash than announced, and keeps nothing", async () => {
    const expectSha256 = sha256(text("right"));
    await expect(store.put(chunks("wrong"), { expectSha256 })).rejects.toMatchObject({ code: "HASH_MISMATCH" });
    await expect(store.put(text("wrong"), { expectSha256 })).rejects.toMatchObject({ code: "HASH_MISMATCH" });
    expect([...(await readdir(blobs)), ...(await readdir(tmp))]).toEqual([]);
    expect(await store.put(chunks("right"), { expectSha256 })).toMatchObject({ sha256: expectSha256 });
  });

  it("stops reading an endless source at the limit", async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given++;
        yield new Uint8Array(1_000);
      }
    }
    await expect(store.put(endless(), { maxBytes: 5_000 })).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect(given).toBe(6);
    expect(await readdir(tmp)).toEqual([]);
    expect(await store.put(new Uint8Array(5_000), { maxBytes: 5_000 })).toMatchObject({ sizeBytes: 5_000 });
  });

  it("keeps nothing of a source that fails or of a put that is called off", async () => {
    async function* failing() {
      yield text("half");
      throw new Error("connection reset");
    }
    await expect(store.put(failing())).rejects.toThrow("connection reset");
    const off = new AbortController();
    async function* slow() {
      yield text("half");
      off.abort(new Error("called off"));
      yield text("other half");
    }
    await expect(store.put(slow(), { signal: off.signal })).rejects.toThrow("called off");
    expect([...(await readdir(blobs)), ...(await readdir(tmp))]).toEqual([]);
  });
});

describe("damage", () => {
  it("is noticed by verify, and healed when the bytes are put again at another size", async () => {
    const { sha256: name } = await store.put(text("precious"));
    await writeFile(store.path(name), "precio");
    expect(await store.verify(name)).toBe(false);
    expect(await store.put(text("precious"))).toMatchObject({ known: false });
    expect(await store.verify(name)).toBe(true);
    expect(await store.verify("0".repeat(64))).toBe(false);
  });
});

describe("garbage collection", () => {
  it("finds every blob with its size and age, and nothing else", async () => {
    const { sha256: name } = await store.put(text("old"));
    await utimes(store.path(name), 1_000, 1_000);
    await writeFile(join(blobs, "stray"), "");
    expect(await Array.fromAsync(store.list())).toEqual([{ sha256: name, sizeBytes: 3, putAt: new Date(1_000_000) }]);
    expect(await store.touch(name)).toBe(true);
    expect(await store.touch("0".repeat(64))).toBe(false);
  });
});

describe("a full disk", () => {
  it("is told from other errors", () => {
    expect(isDiskFull(Object.assign(new Error(), { code: "ENOSPC" }))).toBe(true);
    expect(isDiskFull(Object.assign(new Error(), { code: "EIO" }))).toBe(false);
    expect(isDiskFull(null)).toBe(false);
  });
});

describe("removing what nobody uses", () => {
  const longAgo = new Date(Date.now() - 3_600_000);

  it("takes what is old and nothing else", async () => {
    const { sha256: old } = await store.put(text("old"));
    const { sha256: young } = await store.put(text("young"));
    await utimes(store.path(old), 1, 1);
    expect(await store.removeUnused(old, longAgo)).toBe(true);
    expect(await store.removeUnused(young, longAgo)).toBe(false);
    expect(await store.removeUnused(sha256(text("never there")), longAgo)).toBe(false);
    expect([await store.has(old), await store.has(young)]).toEqual([false, true]);
  });

  it("never takes what somebody puts at the same moment (G18)", async () => {
    for (let i = 0; i < 200; i++) {
      const bytes = text(`wanted ${i}`);
      const { sha256: name } = await store.put(bytes);
      await utimes(store.path(name), 1, 1);
      await Promise.all([store.removeUnused(name, longAgo), store.put(i % 2 === 0 ? bytes : chunks(`wanted ${i}`))]);
      expect(await store.verify(name)).toBe(true);
    }
    expect(await readdir(tmp)).toEqual([]);
  });
});
