import { readdirSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { commandLine, levelsHere, until, Workshop } from "./kit.js";

const levels = await levelsHere();

/** Processes that wait in slots of an executor, by their runtime's first file. */
function waiting(workshop: Workshop, file: string): number {
  const own = workshop.slotProcesses().map(commandLine);
  return own.filter((line) => line.includes(file) && !line.includes("bwrap") && !line.startsWith("/bin/sh")).length;
}

describe.each(levels)("the pool at the level %s", (level) => {
  it("starts processes of a runtime once it is used, and none before (decision 8)", async () => {
    await using workshop = await Workshop.open(level, { poolSize: 2 });
    expect(waiting(workshop, "python.py")).toBe(0);
    await workshop.run(workshop.task("python", "def main(ctx):\n  return {}"));
    await until(() => waiting(workshop, "python.py") >= 2);
    expect(waiting(workshop, "node.mjs")).toBe(0);
  });

  it("gives every attempt a process and a folder that nobody used before (single use)", async () => {
    await using workshop = await Workshop.open(level, { poolSize: 3 });
    const script = `
      import fs from "node:fs";
      export default () => {
        const found = { before: globalThis.left ?? null, work: fs.readdirSync("."), tmp: fs.readdirSync("/tmp").filter((name) => name === "left-by-a-step"), env: process.env.LEFT ?? null };
        globalThis.left = 1; process.env.LEFT = "1"; fs.writeFileSync("left", "1");
        return found;
      };`;
    await workshop.run(workshop.task("node", script));
    for (let round = 0; round < 6; round++) {
      const { output } = await workshop.run(workshop.task("node", script));
      expect(output).toEqual({ before: null, work: [".maia", "artifacts"], tmp: [], env: null });
    }
  });

  it("replaces a process that dies while it waits", async () => {
    await using workshop = await Workshop.open(level, { poolSize: 1 });
    await workshop.run(workshop.task("node", "export default () => ({})"));
    await until(() => waiting(workshop, "node.mjs") > 0);
    for (const pid of workshop.slotProcesses()) killIfThere(pid); // the first one's end may take the others along
    const { output } = await workshop.run(workshop.task("node", "export default () => ({ fine: true })"));
    expect(output).toEqual({ fine: true });
  });

  it("leaves no folder of an attempt that has ended", async () => {
    await using workshop = await Workshop.open(level);
    await Promise.all(
      Array.from({ length: 5 }, () => workshop.run(workshop.task("shell", "mkdir -p a/b; chmod 0 a/b; touch c"))),
    );
    const [instance] = readdirSync(workshop.root);
    await until(() => readdirSync(`${workshop.root}/${instance}/slots`).length === 0);
  });
});

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
