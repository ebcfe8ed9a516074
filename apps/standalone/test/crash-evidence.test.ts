import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import { keepingEvidence } from "./crash/evidence.ts";
import { Deployment } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

/** Runs a trial of a Maia that is killed once. @returns what it told, and where its Maia was */
async function trial(carryOut: () => Promise<readonly string[]>): Promise<{ told: string; folder: string }> {
  await using maia = await Deployment.start("local");
  const folder = path.dirname(maia.dataDir);
  const told = await keepingEvidence(maia, async () => {
    await maia.part("up").kill();
    maia.spawn("up");
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    return carryOut();
  }).then(
    (violations) => violations.join("\n"),
    (error: Error) => error.message,
  );
  return { told, folder };
}

describe("a crash trial", () => {
  it.each([
    ["breaks a promise", async () => ["G3 a job ended twice"], "G3 a job ended twice"],
    ["cannot be finished", () => Promise.reject(new Error("no answer")), "no answer"],
  ])("that %s keeps data and logs of all that was killed, and says where", async (_what, carryOut, reason) => {
    const { told, folder } = await trial(carryOut);
    expect(told).toBe(`${reason}\nthe data and the logs of this Maia are kept in ${folder}`);
    expect((await readFile(path.join(folder, "data/maia.db"))).length).toBeGreaterThan(0);
    const log = await readFile(path.join(folder, "up.log"), "utf8");
    expect(log.match(/is ready at/g)).toHaveLength(2);
    await rm(folder, { recursive: true });
  });

  it("that keeps all promises leaves nothing", async () => {
    const { told, folder } = await trial(async () => []);
    expect(told).toBe("");
    await expect(readFile(path.join(folder, "up.log"))).rejects.toThrow("ENOENT");
  });
});
