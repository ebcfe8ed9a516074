import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, it } from "@jest/globals";
import { World } from "./support/world.js";

const servers: Server[] = [];
const QUICK = { MAIA_URL_RETRY_MS: "1" };

/** A source of files on loopback. @returns its address, without a slash at the end. */
async function source(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function until(world: World, isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await world.change();
}

const filesOf = async (world: World, job: string) =>
  JSON.parse(
    (await world.db.sql.get<{ text: string }>(`SELECT "initialInput" AS "text" FROM "Run" WHERE "jobRunId" = ?`, job))!
      .text,
  ).files;

describe("input files behind URLs", () => {
  it("are brought before the first step, and the run's input says what came (G18)", async () => {
    await using world = await World.open();
    const url = await source((request, response) =>
      response.setHeader("content-type", "text/csv").end(`bytes of ${request.url}`),
    );
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine();
    const job = await queue({}, [
      { name: "one.csv", url: `${url}/1` },
      { name: "two.csv", url: `${url}/2` },
      { name: "here.txt", text: "uploaded" },
    ]);
    await world.until(job, "SUCCEEDED");
    const files = await filesOf(world, job);
    expect(files).toMatchObject([
      { name: "one.csv", status: "READY", mime: "text/csv", sizeBytes: 11, path: "inputs/0-one.csv", url: `${url}/1` },
      { name: "two.csv", status: "READY", path: "inputs/1-two.csv" },
      { name: "here.txt", status: "READY", source: "upload" },
    ]);
    expect(world.executor.tasks[0]!.files.map(({ path, sha256 }) => ({ path, sha256 }))).toEqual(
      files.map(({ path, sha256 }: { path: string; sha256: string }) => ({ path, sha256 })),
    );
    for (const { sha256 } of files) expect(await world.blobs.verify(sha256)).toBe(true);
  });

  it("that cannot be had fail the run, which names the URL and the reason, and leave nothing behind (F54)", async () => {
    await using world = await World.open();
    let tries = 0;
    const url = await source((request, response) => {
      if (request.url === "/never") return; // no answer
      tries += 1;
      response.writeHead(200, { "content-length": "100" });
      response.write("short", () => request.socket.destroy());
    });
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine({ env: QUICK });
    const job = await queue({}, [
      { name: "never", url: `${url}/never` },
      { name: "short", url: `${url}/short` },
    ]);
    const seen = await world.until(job, "FAILED");
    expect(seen.steps).toEqual(["a:SKIPPED"]);
    expect(seen.failure).toMatchObject({ code: "INPUT_DOWNLOAD_FAILED" });
    expect(JSON.stringify(seen.failure)).toContain(`${url}/short: `);
    expect(tries).toBe(4);
    expect(await filesOf(world, job)).toMatchObject([
      { status: "FAILED", error: "the run ended before the file was here" },
      { status: "FAILED" },
    ]);
    await until(world, async () => (await readdir(`${world.folder}/tmp`)).length === 0);
  });

  it("are not waited for once the run is canceled", async () => {
    await using world = await World.open();
    let [asked, left] = [0, 0];
    const url = await source((request) => {
      asked += 1;
      request.socket.on("close", () => {
        left += 1;
      });
    });
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine();
    const job = await queue({}, [{ name: "never", url: `${url}/never` }]);
    await until(world, () => asked === 1);
    await world.db.write(async (tx) => {
      await tx.sql.run(`UPDATE "Run" SET "cancelRequestedAt" = "createdAt", "cancelReason" = 'too late'`);
      tx.ring("engine");
    });
    expect(await world.until(job, "CANCELED")).toMatchObject({
      steps: ["a:SKIPPED"],
      failure: { code: "CANCELED", message: "The run was canceled: too late" },
    });
    await until(world, () => left === 1);
    expect(await filesOf(world, job)).toMatchObject([{ status: "FAILED" }]);
  });

  it("come so many at once, and those of a small run do not wait for all of a large one (L14)", async () => {
    await using world = await World.open();
    let [active, most] = [0, 0];
    const order: string[] = [];
    const waiting: (() => void)[] = [];
    const url = await source((request, response) => {
      order.push(request.url!);
      most = Math.max(most, ++active);
      waiting.push(() => {
        active -= 1;
        response.end("x");
      });
    });
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    await world.engine({ env: { MAIA_URL_CONCURRENCY: "2" } });
    const large = await queue(
      {},
      Array.from({ length: 8 }, (_, i) => ({ name: `${i}`, url: `${url}/large/${i}` })),
    );
    await until(world, () => order.length === 2);
    const small = await queue({}, [{ name: "s", url: `${url}/small` }]);
    await world.until(small, "RUNNING");
    const flow = setInterval(() => waiting.shift()?.(), 5);
    await world.until(large, "SUCCEEDED");
    clearInterval(flow);
    expect(most).toBe(2);
    expect(order.indexOf("/small")).toBeLessThan(5);
    expect((await world.look(small)).job).toBe("SUCCEEDED");
  });

  it("are settled by the run's owner and by nobody else (G7)", async () => {
    await using world = await World.open();
    await using other = await World.database(world.folder);
    const queue = await world.workflow("files", [{ key: "a", script: "ok" }]);
    const gates: ((bytes: string) => void)[] = [];
    const fetcher = async () => {
      const bytes = await new Promise<string>((resolve) => gates.push(resolve));
      const { sha256, sizeBytes } = await world.blobs.put(Buffer.from(bytes));
      return { sha256, sizeBytes, mime: "text/plain" };
    };
    const never = { MAIA_LEASE_RENEW_MS: "3600000", MAIA_LEASE_TTL_MS: "7200000" };
    const first = await world.engine({ env: never, fetcher });
    const job = await queue({}, [{ name: "f", url: "http://127.0.0.1:1/" }]);
    await until(world, () => gates.length === 1);
    await world.db.write((tx) => tx.sql.run(`UPDATE "Engine" SET "endedAt" = "startedAt"`));
    const heir = await world.engine({ db: other, fetcher });
    await until(world, () => gates.length === 2);
    gates[0]!("from the one that lost the run");
    gates[1]!("from its owner");
    await world.until(job, "SUCCEEDED");
    const [file] = await filesOf(world, job);
    expect(file.sizeBytes).toBe("from its owner".length);
    await world.stop(heir);
    await world.stop(first);
  });
});
