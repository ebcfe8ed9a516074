import { PassThrough } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import { confirmed } from "./confirm.js";
import type { CliError } from "./errors.js";
import { processTerminal } from "./output/terminal.js";

/** Asks somebody at a terminal who types this. */
async function ask(typed: string, isTTY = true, yes = false) {
  const input = Object.assign(new PassThrough(), { isTTY });
  input.end(`${typed}\n`);
  const notes: string[] = [];
  const terminal = { ...processTerminal({}), note: (text: string) => void notes.push(text) };
  const outcome = await confirmed({ terminal }, "Are you sure? Type it", "pause runner", yes, input).then(
    () => "done",
    (error: CliError) => `${error.exitCode}: ${error.message}`,
  );
  return { outcome, notes };
}

describe("a confirmation", () => {
  it("takes the words as they are, with spaces around them at the most (F66)", async () => {
    expect(await ask(" pause runner ")).toEqual({ outcome: "done", notes: ["Are you sure? Type it:"] });
    for (const typed of ["", "yes", "Pause Runner", "pause  runner"])
      expect((await ask(typed)).outcome).toBe('2: That was not "pause runner"; nothing was done');
  });

  it("asks nobody where a flag has said so, and refuses where there is no terminal", async () => {
    expect(await ask("no", true, true)).toEqual({ outcome: "done", notes: [] });
    const { outcome, notes } = await ask("pause runner", false);
    expect([outcome, notes]).toEqual([expect.stringMatching(/^2: .*give --yes$/), []]);
  });
});
