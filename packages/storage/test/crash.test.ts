import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { BlobStore } from "../src/blob-store.js";
import { openDataDir } from "../src/data-dir.js";

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
let folder: string;
let blobs: string;
let tmp: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-crash-"));
  [blobs, tmp] = [join(folder, "blobs"), join(folder, "tmp")];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process that puts one blob after the other and says the hash of each that it was promised. */
function putter() {
  const child = spawn(process.execPath, [script("putter.mjs"), blobs, tmp], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  return { child, promised: () => said.split("\n").slice(0, -1) };
}

describe("SIGKILL while the data directory is opened", () => {
  it("leaves nothing that the next start does not remove (F15)", async () => {
    const dir = await openDataDir(folder);
    using watcher = watched(dir.tmp);
    await promisify(execFile)(process.execPath, [script("opener.mjs"), folder]);
    await writeFile(join(dir.tmp, await watcher.name), ""); // as if it had been killed before it removed the file
    await BlobStore.open(dir.blobs, dir.tmp);
    expect(await readdir(dir.tmp)).toEqual([]);
  });
});

/** Tells the name of the first file that is made in a folder from now on. */
function watched(path: string): { readonly name: Promise<string> } & Disposable {
  const watcher = watch(path);
  const name = once(watcher, "change").then(([, name]) => String(name));
  return { name, [Symbol.dispose]: () => watcher.close() };
}

describe("SIGKILL while blobs are put", () => {
  it("leaves no wrong blob, loses none that was promised, and the next start removes the rest (G1, G18)", async () => {
    for (const killAfter of [1, 2, 5, 9]) {
      const { child, promised } = putter();
      while (promised().length < killAfter) await once(child.stdout, "data");
      child.kill("SIGKILL");
      await once(child, "close");

      const store = await BlobStore.open(blobs, tmp);
      const kept = (await Array.fromAsync(store.list())).map(({ sha256 }) => sha256);
      expect(kept).toEqual(expect.arrayContaining(promised()));
      for (const sha256 of kept) expect(await store.verify(sha256)).toBe(true);
      expect(await readdir(tmp)).toEqual([]);
    }
  });

  it("leaves the unfinished files of a process that still runs alone", async () => {
    const { child, promised } = putter();
    while (promised().length < 1) await once(child.stdout, "data");
    for (let round = 0; round < 20; round++) await BlobStore.open(blobs, tmp);
    const before = promised().length;
    while (promised().length < before + 3) await once(child.stdout, "data"); // it still succeeds
    expect(child.exitCode).toBeNull();
    child.kill("SIGKILL");
    await once(child, "close");
  });

  it("judges files of another container by their age", async () => {
    await BlobStore.open(blobs, tmp);
    const young = "blob-1-2-3-00";
    const old = "blob-1-2-3-01";
    for (const name of [young, old, "not-ours"]) await writeFile(join(tmp, name), "");
    await utimes(join(tmp, old), 1, 1);
    await BlobStore.open(blobs, tmp);
    expect((await readdir(tmp)).sort()).toEqual([young, "not-ours"]);
  });
});

describe("a full disk", () => {
  it("refuses with STORAGE_FULL, keeps what is there, and takes blobs again when there is room; what may not be lost waits for it (G26, F58)", async () => {
    const mount = `mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" "$2" "$0"`;
    const args = ["--map-root-user", "--mount", "sh", "-c", mount, folder, process.execPath, script("disk-full.mjs")];
    const { stdout } = await promisify(execFile)("unshare", args);
    const [refusing, waiting] = stdout.trim().split("\n");
    expect(JSON.parse(waiting!)).toEqual({ waits: ["STORAGE_FULL"], keptBytes: 600_000 });
    expect(JSON.parse(refusing!)).toEqual({
      refused: ["STORAGE_FULL", "STORAGE_FULL"],
      leftovers: 0,
      smallStillVerifies: true,
      afterRoomWasMade: { sizeBytes: 600_000, known: false },
    });
  });
});
