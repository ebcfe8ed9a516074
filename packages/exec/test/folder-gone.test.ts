import { existsSync, rmSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { levelsHere, Workshop } from "./kit.js";

const levels = await levelsHere();
const SCRIPT = "export default () => ({ ok: true })";

describe.each(levels)("at the level %s", (level) => {
  it.each([{ poolSize: 0 }, { poolSize: 2 }])(
    "an attempt ends and says why once the folder in which steps run was removed ($poolSize processes are ready)",
    async ({ poolSize }) => {
      await using workshop = await Workshop.open(level, { poolSize });
      expect((await workshop.run(workshop.task("node", SCRIPT))).output).toEqual({ ok: true });
      // What the last attempt left is cleared at the same time, and a removal that meets another one stops early.
      while (existsSync(workshop.root)) rmSync(workshop.root, { recursive: true, force: true });
      const ends = [];
      for (const reuseKey of [null, null, null, "k", "k", "k", "k"]) {
        const { exit } = await workshop.run(workshop.task("node", SCRIPT, { reuseKey }));
        ends.push(exit.reason);
      }
      const last = await workshop.run(workshop.task("node", SCRIPT));
      expect(ends).toEqual(ends.map(() => "spawn_failed"));
      expect(last.exit.error?.message).toMatch(/^the folder .+, in which steps run, .+ restart Maia$/);
    },
  );
});
