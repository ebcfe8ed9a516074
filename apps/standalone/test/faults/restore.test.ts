import { cp } from "node:fs/promises";
import path from "node:path";
import { expect, it, jest } from "@jest/globals";
import Database from "better-sqlite3";
import { Client } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { aMarkedStep } from "../support/marked-steps.ts";
import { eventually, freePort, MaiaProcess, temporaryFolder } from "../support/processes.ts";
import { Sink } from "../support/sink.ts";

jest.setTimeout(180_000); // several processes, on a machine that may be busy

it("a backup that was taken while a run went on does no finished step again when it is restored; what was in flight is lost and tried again (F73, G34)", async () => {
  await using sink = await Sink.open();
  await using folder = await temporaryFolder("restore");
  await using maia = await Deployment.start("local");
  const { client } = maia;
  await client.apply({
    name: "chain",
    env: { SINK: sink.url },
    steps: [aMarkedStep("a"), aMarkedStep("b", ["a"], 2_000), aMarkedStep("c", ["b"])],
  });
  const done = await client.finished((await client.submit("chain")).id);
  const { id } = await client.submit("chain");
  const runId = await eventually("it runs", async () => (await client.job(id)).runId);
  await eventually("b is in flight", async () => sink.entries.includes(`${runId},b,1`));

  const restored = path.join(folder.path, "data");
  await cp(maia.dataDir, restored, {
    recursive: true,
    filter: (from) => !/maia\.db|\/bells|\/tmp\/|\/runs\//.test(from.slice(maia.dataDir.length)),
  });
  const db = new Database(path.join(maia.dataDir, "maia.db"), { readonly: true });
  await db.backup(path.join(restored, "maia.db"));
  db.close();
  await maia.part("up").kill();
  const before = sink.entries.length;

  const port = await freePort();
  await using again = new MaiaProcess(["up"], { MAIA_DATA_DIR: restored, MAIA_API_PORT: String(port) });
  const later = await Client.connect(`http://127.0.0.1:${port}`, restored);
  const run = await later.finished(id);
  expect(run.status).toBe("SUCCEEDED");
  expect(run.steps.map(({ attempts }) => attempts.map(({ status }) => status))).toEqual([
    ["SUCCEEDED"],
    ["LOST", "SUCCEEDED"],
    ["SUCCEEDED"],
  ]);
  expect(sink.entries.slice(before)).toEqual([`${runId},b,2`, `${runId},c,1`]);
  expect(await later.run(done.id)).toEqual(done);
  expect(again.running).toBe(true);
});
