import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Deployment } from "../test/support/deployments.ts";
import { eventually } from "../test/support/processes.ts";
import { percentile } from "./report.ts";

// `pnpm bench:batch [--rows N] [--concurrency C]`: one large batch in one process, and what others notice of it.
const { values } = parseArgs({
  options: { rows: { type: "string", default: "100000" }, concurrency: { type: "string", default: "64" } },
});
const rows = Number(values.rows);

interface Batch {
  id: string;
  status: string;
  counts: { succeeded: number };
}

await using maia = await Deployment.start("local", { MAIA_LOG_LEVEL: "warn" });
const { client } = maia;
await client.apply({
  name: "row",
  reuse: true,
  inputSpec: {
    version: 2,
    paramsSchema: {
      type: "object",
      properties: { n: { type: "integer" }, name: { type: "string" }, top: { type: "integer", default: 3 } },
      required: ["n", "name"],
      additionalProperties: false,
    },
  },
  outputsSpec: { version: 1, outputs: { n: { stepKey: "a", field: "n" } } },
  steps: [{ key: "a", script: "export default ({ params }) => ({ n: params.n })" }],
});

/** How long `GET /v1/me` takes while something else goes on, in milliseconds. */
class Probe {
  readonly took: number[] = [];
  #stopped = false;
  readonly #done = this.#ask();

  async stop(): Promise<string> {
    this.#stopped = true;
    await this.#done;
    return `p50 ${percentile(this.took, 50).toFixed(1)} ms, p99 ${percentile(this.took, 99).toFixed(1)} ms, longest ${Math.max(...this.took).toFixed(0)} ms`;
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const started = performance.now();
      await client.get("/v1/me");
      this.took.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** The most memory that Maia's process has had so far, in MiB. */
async function peakMiB(): Promise<number> {
  const status = await readFile(`/proc/${maia.part("up").pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const probe = new Probe();
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1_000;
  const perSecond = Math.round(rows / seconds);
  console.log(
    `${what}: ${seconds.toFixed(1)} s (${perSecond} rows/s); others' requests ${await probe.stop()}; peak memory ${await peakMiB()} MiB`,
  );
  return result;
}

console.log(`start: peak memory ${await peakMiB()} MiB`);
const csv = `n,name\n${Array.from({ length: rows }, (_, n) => `${n},row number ${n}`).join("\n")}\n`;
const sha256 = await client.upload(csv);
const itemsFile = { sha256, format: "csv" };
const request = { workflow: "row", itemsFile, concurrency: Number(values.concurrency) };
await timed("dry run", () => client.call("POST", "/v1/batches", { ...request, dryRun: true }));
const { body: batch } = await timed("accepted", () => client.call<Batch>("POST", "/v1/batches", request));
const ended = await timed("carried out", () =>
  eventually(
    "the batch has ended",
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const now = await client.get<Batch>(`/v1/batches/${batch.id}`);
      return now.status === "RUNNING" ? null : now;
    },
    4 * 3_600_000,
  ),
);
const results = await timed("results", async () => {
  const response = await fetch(`${client.url}/v1/batches/${batch.id}/results`, {
    headers: { authorization: `Bearer ${client.key}` },
  });
  return response.text();
});
const isWhole = results.split("\r\n").length === rows + 2 && ended.counts.succeeded === rows;
console.log(`${ended.status}, ${ended.counts.succeeded} rows succeeded, ${results.length} bytes of results`);
if (!isWhole) process.exitCode = 1;
