import path from "node:path";
import { parseArgs } from "node:util";
import { Deployment } from "../test/support/deployments.ts";
import { eventually, MaiaProcess } from "../test/support/processes.ts";
import { describeMachine, type Measured, median, print } from "./report.ts";
import { chain, finishedPerSecond, oneStep, runChain } from "./scenarios.ts";

const RUNNER = { runner: "bench" };
const EXECUTED_HERE = "the same, executed by Maia itself right before or after";

/**
 * Work through a runner on the same host that dials the gateway, beside the same work without one. The two take turns, so
 * that both meet the same machine. The runner's marks are off: a busy machine is the point.
 */
export async function besideLocal(maia: Deployment, repeats: number, jobs: number): Promise<Measured[]> {
  const { client } = maia;
  const definition = { name: RUNNER.runner, platform: "self_managed", deployment: "process" };
  const { body: made } = await client.call<{ id: string; credentials: { clientId: string; clientSecret: string } }>(
    "POST",
    "/v1/runners",
    definition,
  );
  await using runner = new MaiaProcess(["runner"], {
    MAIA_GATEWAY_URL: maia.url,
    MAIA_CLIENT_ID: made.credentials.clientId,
    MAIA_CLIENT_SECRET: made.credentials.clientSecret,
    MAIA_RUNNER_DATA_DIR: path.join(maia.dataDir, "..", "bench-runner"),
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
    MAIA_LOG_LEVEL: "warn",
  });
  await eventually(
    "the runner is there",
    async () => (await client.get<{ connected: boolean }>(`/v1/runners/${made.id}`)).connected,
  );
  const figures = [...(await chains(maia, repeats)), ...(await throughputs(maia, repeats, jobs))];
  await runner.stop();
  return figures;
}

async function chains({ client }: Deployment, repeats: number): Promise<Measured[]> {
  const workflow = { ...chain("node", 10), name: "chain-gateway" };
  await client.apply(workflow);
  const runs = { here: [] as Chained[], there: [] as Chained[] };
  await runChain(client, workflow.name, RUNNER); // warms its caches
  for (let i = 0; i < repeats * 3; i++) {
    runs.here.push(await runChain(client, workflow.name));
    runs.there.push(await runChain(client, workflow.name, RUNNER));
  }
  const first = (of: readonly Chained[]) => median(of.map(({ firstMs }) => firstMs));
  const gap = (of: readonly Chained[]) => median(of.flatMap(({ gapsMs }) => gapsMs));
  const common = { unit: "ms", floorIs: EXECUTED_HERE };
  return [
    {
      ...common,
      what: "through the gateway: submit → first process, p50",
      value: first(runs.there),
      floor: first(runs.here),
    },
    {
      ...common,
      what: "through the gateway: end of a step → start of the next, p50",
      value: gap(runs.there),
      floor: gap(runs.here),
    },
  ];
}

async function throughputs({ client }: Deployment, repeats: number, jobs: number): Promise<Measured[]> {
  const figures: Measured[] = [];
  for (const reuse of [false, true]) {
    const workflow = oneStep(reuse);
    await client.apply(workflow);
    const rates = { here: [] as number[], there: [] as number[] };
    for (let i = 0; i < Math.min(repeats, 3); i++) {
      rates.here.push(await finishedPerSecond(client, workflow.name, jobs));
      rates.there.push(await finishedPerSecond(client, workflow.name, jobs, RUNNER));
    }
    figures.push({
      what: `through the gateway: ${jobs} one-step jobs, ${reuse ? "reuse: true" : "fresh node"}`,
      value: median(rates.there),
      unit: "jobs/s",
      floor: median(rates.here),
      floorIs: EXECUTED_HERE,
      more: true,
    });
  }
  return figures;
}

type Chained = Awaited<ReturnType<typeof runChain>>;

// `node bench/gateway.ts [--quick]`: these figures alone.
if (import.meta.main) {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
  await using maia = await Deployment.start("local", { MAIA_LOG_LEVEL: "warn" });
  const figures = await besideLocal(maia, values.quick ? 3 : 7, values.quick ? 200 : 500);
  print(await describeMachine(maia.client), figures);
}
