import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type OwnMaia, openOwnMaia } from "./own-maia.js";
import { type MaiaOptions, type MaiaResult, maia } from "./run-maia.js";

let own: OwnMaia;
let folder: string;
let options: MaiaOptions;

beforeAll(async () => {
  own = await openOwnMaia("versions");
  folder = own.folder;
  options = { cwd: folder, env: own.env };
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

const run = (...args: string[]): Promise<MaiaResult> => maia(args, options);

/** A workflow of one step that says a word. */
async function write(name: string, word: string, more = ""): Promise<string> {
  const file = join(folder, `${name}.yaml`);
  const script = `export default () => {\n        const word = ${JSON.stringify(word)};\n        return { word };\n      }`;
  const outputs = "outputsSpec: { version: 1, outputs: { word: { stepKey: say, field: word } } }";
  await writeFile(file, `name: ${name}\n${more}steps:\n  - key: say\n    script: |\n      ${script}\n${outputs}\n`);
  return file;
}

/** Deletes a workflow, for which the command has no words of its own. */
async function remove(name: string): Promise<void> {
  const { MAIA_URL = "", MAIA_DATA_DIR = "" } = own.env;
  const key = await readFile(join(MAIA_DATA_DIR, "admin-key"), "utf8");
  const headers = { authorization: `Bearer ${key.trim()}` };
  const { status } = await fetch(`${MAIA_URL}/v1/workflows/${name}`, { method: "DELETE", headers });
  expect(status).toBe(204);
}

async function wordOf(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run("run", ...args, "--wait", "--json");
  return stdout === "" ? stderr : JSON.parse(stdout).outputs.word;
}

describe("maia apply", () => {
  it("says so when it brings a deleted workflow back", async () => {
    const file = await write("phoenix", "ash");
    await run("apply", "-f", file);
    const { stdout: bundle } = await run("versions", "export", "phoenix", "1");
    await remove("phoenix");
    expect((await run("apply", "-f", file)).stdout).toBe(
      "phoenix v1 unchanged, restored: it had been deleted, and is back with its versions\n",
    );
    await remove("phoenix");
    await writeFile(join(folder, "phoenix.json"), bundle);
    expect(await run("versions", "import", "phoenix.json")).toMatchObject({
      code: 0,
      stdout: "phoenix v1 is what jobs get now\n",
      stderr: "The workflow had been deleted; it is back with its versions\n",
    });
  });
});

describe("maia versions", () => {
  it("lists, shows, compares and promotes, and what runs follows", async () => {
    await run("apply", "-f", await write("talk", "hello"), "-m", "The first word");
    await run("apply", "-f", await write("talk", "bye"), "-m", "Another word");
    expect((await run("versions", "list", "talk")).stdout).toMatch(
      /^v2 +latest +[0-9a-f]{12} +\d+s ago +Another word\nv1 +[0-9a-f]{12} +\d+s ago +The first word\n$/,
    );
    expect((await run("versions", "show", "talk", "v1")).stdout).toMatch(
      /^talk v1 {2}[0-9a-f]{64}\nmade .*\nThe first word\nsay +node/,
    );
    expect(await run("versions", "diff", "talk", "2")).toEqual({
      code: 0,
      stdout: [
        "~ /steps/0/script (step say)",
        "  @@ -1,4 +1,4 @@",
        "   export default () => {",
        '  -  const word = "hello";',
        '  +  const word = "bye";',
        "     return { word };",
        "   }",
        "",
      ].join("\n"),
      stderr: "talk v1 → v2\n",
    });
    expect((await run("versions", "diff", "talk", "2", "--against", "2")).stderr).toContain("Nothing differs");
    expect(await wordOf("talk")).toBe("bye");
    expect((await run("versions", "promote", "talk", "1", "-m", "Was better")).stdout).toBe(
      "talk v3 is what jobs get now\n",
    );
    expect([await wordOf("talk"), await wordOf("talk", "--version", "2")]).toEqual(["hello", "bye"]);
  });

  it("carries a version from one workflow to another as a file", async () => {
    await run("apply", "-f", await write("origin", "carried"));
    const file = join(folder, "origin.maia.json");
    expect((await run("versions", "export", "origin", "1", "--to", file)).stdout).toBe(`${file}\n`);
    const piped = await run("versions", "export", "origin", "1");
    expect(piped.stdout).toBe(`${await readFile(file, "utf8")}\n`);
    expect((await run("versions", "import", file, "--name", "copy")).stdout).toBe("copy v1 is what jobs get now\n");
    expect(await wordOf("copy")).toBe("carried");
    const again = await maia(["versions", "import", "-", "--aside"], { ...options, stdin: piped.stdout });
    expect(again.stdout).toBe("origin v1 is what jobs get now\n");
    await writeFile(file, piped.stdout.replace("carried", "changed"));
    expect(await run("versions", "import", file)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/\/bundle\/snapHash/),
    });
    await writeFile(file, "no JSON");
    expect(await run("versions", "import", file)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/is no bundle/),
    });
    expect(await run("versions", "diff", "origin", "x")).toMatchObject({ code: 2 });
    expect(await run("versions", "show", "origin", "7")).toMatchObject({ code: 3 });
  });
});

describe("maia run with a file", () => {
  it("runs the definition once, without publishing it", async () => {
    await run("apply", "-f", await write("once", "published"));
    const file = await write("once", "tried");
    const followed = await run("run", "-f", file);
    expect(followed).toMatchObject({ code: 0, stdout: expect.stringMatching(/✓ SUCCEEDED.*once v2.*word +tried/s) });
    expect(await wordOf("once")).toBe("published");
    expect(await wordOf(file)).toBe("tried");
    expect((await run("versions", "list", "once")).stdout.match(/^v\d/gm)).toEqual(["v2", "v1"]);
    expect((await run("apply", "-f", file)).stdout).toBe("once v2 published\n");
  });

  it("needs no workflow to be there", async () => {
    expect(await wordOf(await write("unknown", "new"))).toBe("new");
    expect(await run("run", "unknown")).toMatchObject({ code: 5, stderr: expect.stringMatching(/no version yet/) });
  });

  it("says where in the file the faults are", async () => {
    const file = await write("faulty", "x", "env: { PATH: x }\n");
    expect(await run("run", file)).toMatchObject({
      code: 6,
      stdout: "",
      stderr: expect.stringMatching(/faulty\.yaml: .*\n {2}\/env\/PATH: .*\(at 2:\d+\)/s),
    });
    expect(await run("run", file, "--version", "1")).toMatchObject({ code: 2 });
    expect(await run("run", "./nothing.yaml")).toMatchObject({ code: 2 });
  });
});
