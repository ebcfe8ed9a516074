import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ENDED_PATH } from "../slot-view.js";
import { WAIT } from "./keeper.js";

const folder = mkdtempSync(join(tmpdir(), "maia-keeper-"));
const bash = ["/bin/bash", "/usr/bin/bash"].find(existsSync);
const shells = { sh: "/bin/sh", ...(bash ? { "bash as sh": join(folder, "sh") } : {}) };

beforeAll(() => {
  if (bash) symlinkSync(bash, join(folder, "sh")); // by that name it behaves as a machine's /bin/sh
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Keeps a shell script. @returns the code with which the keeper ends, and its last word about how the script did */
async function keep(shell: string, script: string): Promise<{ code: number | null; word: string }> {
  const cwd = mkdtempSync(join(folder, "slot-"));
  mkdirSync(join(cwd, ".maia"));
  const keeper = spawn(shell, ["-c", WAIT, "sh", "/bin/sh", "-c", script], { cwd, stdio: "ignore" });
  const [code] = await once(keeper, "exit");
  const file = join(cwd, ENDED_PATH);
  return { code, word: existsSync(file) ? readFileSync(file, "utf8") : "" };
}

describe.each(Object.entries(shells))("the keeper of a namespace in %s", (_name, shell) => {
  it.each([0, 1, 3, 127, 128])("ends with the step's own code: %d", async (code) => {
    for (let round = 0; round < 5; round++) expect(await keep(shell, `exit ${code}`)).toMatchObject({ code });
  });

  it.each([129, 137, 143, 145, 159])("leaves word that the step itself gave the code %d", async (code) => {
    for (let round = 0; round < 5; round++)
      expect(await keep(shell, `exit ${code}`)).toEqual({ code, word: expect.stringContaining(`Done(${code})`) });
  });

  it.each([
    ["TERM", 143],
    ["KILL", 137],
    ["SEGV", 139],
  ] as const)("leaves no such word of a step that SIG%s has ended", async (signal, code) => {
    for (let round = 0; round < 5; round++)
      expect(await keep(shell, `kill -${signal} $$`)).toEqual({ code, word: expect.not.stringContaining("Done") });
  });

  it("does not take the end of what a step has left behind for the step's", async () => {
    const script = "(sleep 0.01 &); (exit 7) & sleep 0.05; exit 143";
    expect(await keep(shell, script)).toEqual({ code: 143, word: expect.stringContaining("Done(143)") });
  });
});
