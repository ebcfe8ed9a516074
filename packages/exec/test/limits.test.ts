import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { levelsHere, Workshop } from "./kit.js";

const levels = await levelsHere();
const MiB = 1024 * 1024;

describe.each(levels)("a step at the level %s", (level) => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open(level);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  it.each([
    ["node", "const kept = []; export default () => { for (;;) kept.push(new Array(100_000).fill(kept.length)); }"],
    ["python", "def main(ctx):\n  kept = []\n  while True: kept.append('x' * 1_000_000)"],
  ] as const)(
    "in %s that takes more memory than it may ends as out of memory, and nobody else does (F31)",
    async (runtime, script) => {
      const neighbour = workshop.run(workshop.task("shell", "sleep 1"));
      const run = await workshop.run(workshop.task(runtime, script, { limits: { memoryBytes: 300 * MiB } }));
      expect(run.exit).toMatchObject({ reason: "oom" });
      expect((await neighbour).exit).toMatchObject({ reason: "exited", exitCode: 0 });
    },
  );

  it.each([
    ["node", "export default () => { for (;;); }"],
    ["shell", "while :; do :; done"],
  ] as const)("in %s that takes more CPU time than it may is ended by SIGXCPU", async (runtime, script) => {
    const run = await workshop.run(workshop.task(runtime, script, { limits: { cpuMs: 1_000 } }));
    expect(run.exit).toMatchObject({ reason: "exited", exitCode: null, signal: "SIGXCPU" });
  });

  it("may run with a memory limit that it keeps", async () => {
    const limits = { memoryBytes: 300 * MiB };
    const node = await workshop.run(workshop.task("node", "export default () => ({ ok: 1 })", { limits }));
    const python = await workshop.run(workshop.task("python", "def main(ctx):\n  return {'ok': 1}", { limits }));
    expect([node.output, python.output]).toEqual([{ ok: 1 }, { ok: 1 }]);
  });

  it("that forks without end is stopped, and its neighbours live (F30)", async () => {
    // Bounded all the same: a thousand, were there no limit.
    const bomb =
      'bomb() { [ "$1" -gt 0 ] || exec sleep 600; bomb $(($1 - 1)) & bomb $(($1 - 1)) & wait; }; bomb 9 2>/dev/null';
    const task = workshop.task("shell", bomb, {
      timeoutMs: 700,
      graceMs: 100,
      limits: { processes: 100, logAttemptMax: 1_000 },
    });
    const [{ exit }, neighbour] = await Promise.all([
      workshop.run(task),
      workshop.run(workshop.task("shell", "sleep 0.3; echo '{\"alive\":true}' > $MAIA_OUTPUT_PATH")),
    ]);
    expect(["timeout", "exited"]).toContain(exit.reason);
    expect(neighbour.output).toEqual({ alive: true });
  });

  it("leaves no core file and has a bounded number of descriptors", async () => {
    const script = 'printf \'{"core":"%s","files":"%s"}\' "$(ulimit -c)" "$(ulimit -n)" > "$MAIA_OUTPUT_PATH"';
    const { output } = await workshop.run(workshop.task("shell", script));
    expect(output!.core).toBe("0");
    expect(Number(output!.files)).toBeLessThanOrEqual(8_192);
  });
});
