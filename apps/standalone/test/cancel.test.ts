import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "@jest/globals";
import { Deployment, type Shape } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

/** Ways of a step's tree to survive a polite end. Each leaves its marker in the command line of a `sleep`. */
const STUBBORN = {
  "ignores SIGTERM": `trap "" TERM\nsleep $SECONDS_TO_SLEEP & wait\nsleep $SECONDS_TO_SLEEP\n`,
  "calls setsid": `setsid sleep $SECONDS_TO_SLEEP &\nwait\nsleep $SECONDS_TO_SLEEP\n`,
  "double-forks": `( ( setsid sleep $SECONDS_TO_SLEEP & ) & )\nsleep $SECONDS_TO_SLEEP\n`,
  "stops itself": `sleep $SECONDS_TO_SLEEP &\nkill -STOP $$\n`,
};
const GRACE_MS = 700;
/** CANCEL_DELIVERY + CANCEL_GRACE + 2 s, as G16 bounds it. */
const BOUND_MS = 2_000 + GRACE_MS + 2_000;

describe.each<Shape>(["local", "runner"])("a cancel, %s", (shape) => {
  it("clears the whole tree of steps that do not want to end, within its bound (G16)", async () => {
    await using maia = await Deployment.start(shape, { MAIA_CANCEL_GRACE_MS: String(GRACE_MS) });
    const { client } = maia;
    for (const [i, [name, script]] of Object.entries(STUBBORN).entries()) {
      const seconds = String(100_000 + process.pid + i * 10_000_000);
      const slug = name.toLowerCase().replaceAll(" ", "-");
      await client.apply({
        name: slug,
        env: { SECONDS_TO_SLEEP: seconds },
        steps: [
          { key: "s", runtime: "shell", script },
          { key: "after", deps: ["s"], runtime: "shell", script: "true" },
        ],
      });
      const job = await client.submit(slug);
      await eventually(`a step that ${name} runs`, async () => (await sleeping(seconds)).length > 0);
      const answer = await client.call("POST", `/v1/jobs/${job.id}/cancel`, {});
      expect(answer.status).toBe(202);
      await eventually(
        `the tree of a step that ${name} is gone`,
        async () => (await sleeping(seconds)).length === 0,
        BOUND_MS,
      );
      const run = await client.finished(job.id, BOUND_MS);
      expect({ name, status: run.status, steps: run.steps.map((step) => step.status) }).toEqual({
        name,
        status: "CANCELED",
        steps: ["CANCELED", "SKIPPED"],
      });
      const again = await client.call("POST", `/v1/jobs/${job.id}/cancel`, {});
      expect({ status: again.status, code: again.body.code }).toEqual({ status: 409, code: "STATE_CONFLICT" });
    }
  });
});

async function sleeping(seconds: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""))); // it ended meanwhile
  return lines.filter((line) => line.includes(`sleep\0${seconds}`));
}
