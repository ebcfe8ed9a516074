import { linkSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { NotTaken, openGuarded } from "./guard.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "maia-guard-")));
  mkdirSync(join(folder, "work"));
  writeFileSync(join(folder, "secret"), "secret");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const work = (): string => join(folder, "work");
const open = (name: string, maxBytes = 1_000) => openGuarded(join(work(), name), work(), maxBytes);

async function textOf(name: string, maxBytes?: number): Promise<string> {
  using file = open(name, maxBytes);
  const parts = [];
  for await (const part of file.bytes()) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

describe("the guard of artifacts", () => {
  it("gives the bytes of a regular file in the attempt's folder (G19)", async () => {
    writeFileSync(join(work(), "a"), "content");
    expect(await textOf("a")).toBe("content");
  });

  it("refuses links, in the last place and before it, and a second name (M16, B088)", () => {
    symlinkSync(join(folder, "secret"), join(work(), "link"));
    symlinkSync(folder, join(work(), "up"));
    writeFileSync(join(folder, "other"), "x");
    linkSync(join(folder, "other"), join(work(), "hard"));
    expect(() => open("link")).toThrow(/symbolic link/);
    expect(() => open("up/secret")).toThrow(NotTaken);
    expect(() => open("hard")).toThrow(/more than one name/);
    expect(() => open("../secret")).toThrow(/outside/);
  });

  it("refuses a folder that only begins with the same letters", () => {
    mkdirSync(join(folder, "work-of-another"));
    writeFileSync(join(folder, "work-of-another", "a"), "x");
    expect(() => open("../work-of-another/a")).toThrow(/outside/);
  });

  it("refuses a file that grows above the limit while it is read", async () => {
    writeFileSync(join(work(), "a"), "x".repeat(900));
    using file = open("a");
    writeFileSync(join(work(), "a"), "x".repeat(1_100));
    await expect(async () => {
      for await (const _ of file.bytes());
    }).rejects.toThrow(/larger than/);
  });

  it("never gives the bytes of what a file is swapped for (B088)", async () => {
    const swapper = new Worker(
      `const { workerData: folder } = require("node:worker_threads");
       const fs = require("node:fs");
       for (;;) {
         fs.writeFileSync(folder + "/work/a.new", "mine");
         fs.renameSync(folder + "/work/a.new", folder + "/work/a");
         try { fs.symlinkSync(folder + "/secret", folder + "/work/a.link"); } catch {}
         try { fs.renameSync(folder + "/work/a.link", folder + "/work/a"); } catch {}
         try { fs.unlinkSync(folder + "/work/a"); fs.linkSync(folder + "/secret", folder + "/work/a"); fs.unlinkSync(folder + "/work/a"); } catch {}
       }`,
      { eval: true, workerData: folder },
    );
    const texts = new Set<string>();
    let refused = 0;
    for (let round = 0; round < 10_000 || texts.size === 0 || refused === 0; round++) {
      try {
        texts.add(await textOf("a"));
      } catch (error) {
        if (!(error instanceof NotTaken)) throw error;
        refused++;
      }
    }
    await swapper.terminate();
    // A file is seen while it is being written, too.
    expect([...texts].filter((text) => text !== "mine" && text !== "")).toEqual([]);
  });
});
