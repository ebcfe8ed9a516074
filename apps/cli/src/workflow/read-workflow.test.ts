import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { findWorkflowFiles, readWorkflow } from "./read-workflow.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-cli-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(path: string, text: string | Uint8Array): Promise<string> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, path), text);
  return join(folder, path);
}

describe("reading a workflow", () => {
  it("puts the text of each script into its step, exactly as it stands", async () => {
    await write("steps/a.mjs", "\ufeffexport default 1;\r\n");
    const file = await write(
      "workflow.yaml",
      "name: x\nsteps:\n  - { key: a, file: steps/a.mjs }\n  - { key: b, script: 'true' }\n",
    );
    const { slug, definition } = await readWorkflow(file);
    const steps = [
      { key: "a", script: "\ufeffexport default 1;\r\n" },
      { key: "b", script: "true" },
    ];
    expect({ slug, definition }).toEqual({ slug: "x", definition: { name: "x", steps } });
  });

  it("points at each script that it cannot take", async () => {
    await write("binary", new Uint8Array([0xff, 0xfe, 0x00]));
    const steps = [
      "{ key: a, file: nowhere.mjs }",
      "{ key: b, file: /etc/passwd }",
      "{ key: c, file: x, script: y }",
      "{ key: d, file: 7 }",
      "{ key: e, file: binary }",
      "{ key: f, file: ../../etc/passwd }",
    ];
    const file = await write("workflow.yaml", `name: x\nsteps:\n${steps.map((step) => `  - ${step}\n`).join("")}`);
    const error = await readWorkflow(file).catch((caught) => caught);
    expect(error.exitCode).toBe(6);
    expect(error.problem.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(
      [0, 1, 2, 3, 4, 5].map((at) => `/steps/${at}/file`),
    );
    const messages = error.problem.errors.map(({ message }: { message: string }) => message).join("\n");
    for (const part of [
      /there is no file .*nowhere\.mjs \(at 3:15\)/,
      /must be relative/,
      /not both/,
      /must be the path/,
      /is not UTF-8 text/,
      /must lie in the folder/,
    ]) {
      expect(messages).toMatch(part);
    }
  });

  it("says what is missing in a file that holds no workflow", async () => {
    await expect(readWorkflow(await write("a.yaml", "- 1\n"))).rejects.toThrow("holds no workflow");
    await expect(readWorkflow(await write("b.yaml", "steps: []\n"))).rejects.toThrow("names no workflow");
  });
});

describe("finding workflows", () => {
  it("takes a file, a folder with one, or a folder of such folders", async () => {
    const one = await write("one/workflow.yaml", "name: one");
    const two = await write("two/workflow.yml", "name: two");
    expect(await findWorkflowFiles(one)).toEqual([one]);
    expect(await findWorkflowFiles(join(folder, "two"))).toEqual([two]);
    expect(await findWorkflowFiles(folder)).toEqual([one, two]);
    expect(await findWorkflowFiles("-")).toEqual(["-"]);
  });

  it("says when there is none", async () => {
    await expect(findWorkflowFiles(folder)).rejects.toMatchObject({ exitCode: 2 });
    await expect(findWorkflowFiles(join(folder, "nowhere"))).rejects.toThrow("There is no file or folder");
  });
});
