import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sniffMime } from "./sniff.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-sniff-"));
});
afterAll(() => rm(folder, { recursive: true }));

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489", "hex");

describe("the media type of a file", () => {
  it.each<[string, Buffer | string, { declared?: string; name?: string }, string]>([
    ["a picture that is called a table", PNG, { declared: "text/csv", name: "a.csv" }, "image/png"],
    ["a table", "a,b\n1,2\n", { name: "a.csv" }, "text/csv"],
    ["text that is declared a picture", "hello", { declared: "image/png", name: "a.png" }, "text/plain"],
    [
      "what is declared over what its name says",
      "{}",
      { declared: "application/json", name: "a.txt" },
      "application/json",
    ],
    ["nothing", "", { declared: "text/csv" }, "text/csv"],
    [
      "bytes of no format",
      Buffer.from([0, 1, 2, 3]),
      { declared: "text/csv", name: "a.bin" },
      "application/octet-stream",
    ],
    ["text in another encoding", Buffer.from("caf\xe9", "latin1"), { name: "a.csv" }, "application/octet-stream"],
    ["a character cut at the sample's end", `${"x".repeat(8_191)}ä`, { name: "a.txt" }, "text/plain"],
    ["a head that breaks off", PNG.subarray(0, 4), { declared: "image/png" }, "application/octet-stream"],
  ])("of %s is found by its bytes", async (_, bytes, claims, mime) => {
    const path = join(folder, "file");
    await writeFile(path, bytes);
    expect(await sniffMime(path, claims)).toBe(mime);
  });
});
