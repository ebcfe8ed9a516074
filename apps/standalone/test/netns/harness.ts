import { once } from "node:events";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Run, Workflow } from "../support/client.ts";
import { Deployment } from "../support/deployments.ts";
import { eventually, MaiaProcess } from "../support/processes.ts";
import { Namespace } from "./namespace.ts";
import { tryFrom, tryPorts } from "./reach.ts";

export interface NetnsReport {
  /** Sockets of the runner and its steps that somebody could connect or send to. */
  readonly openSockets: readonly string[];
  /** How this host's tries to connect to it ended, behind its firewall and without one. */
  readonly behindFirewall: Record<string, number>;
  readonly withoutFirewall: Record<string, number>;
  readonly runs: Record<string, string>;
  /** Whatever broke a promise, in words. Empty: all held. */
  readonly violations: readonly string[];
}

const WORDS = "one two three four five six";

/** A file comes in, an artifact goes out, and a second step counts in it. */
const words: Workflow = {
  name: "words",
  inputSpec: { version: 2, filesInput: { uploadFiles: { required: true, maxItems: 1 } } },
  outputsSpec: { version: 1, outputs: { words: { stepKey: "count", field: "words" } } },
  steps: [
    {
      key: "copy",
      script: `import { readFile } from "node:fs/promises";
export default async (ctx) => ctx.artifacts.write("copy.txt", await readFile(ctx.files[0].path)).then(() => ({}));`,
    },
    {
      key: "count",
      deps: ["copy"],
      artifacts: [{ from: "copy", name: "copy.txt" }],
      script: `import { readFile } from "node:fs/promises";
export default async (ctx) => ({ words: (await readFile(ctx.artifacts.path("copy", "copy.txt"), "utf8")).split(" ").length });`,
    },
  ],
};

const slow: Workflow = { name: "slow", steps: [{ key: "only", runtime: "shell", script: "echo begun\nsleep 6\n" }] };

/** Has a runner work that reaches the API and nothing else, and tries to reach it. */
export async function netns(say: (line: string) => void): Promise<NetnsReport> {
  const violations: string[] = [];
  await using stack = new AsyncDisposableStack();
  const maia = stack.use(await Deployment.start("local", { MAIA_API_HOST: "0.0.0.0", MAIA_TRUST_PROXY: "1" }));
  const port = Number(new URL(maia.url).port);
  const space = stack.use(await Namespace.open(port));
  const runner = stack.use(await aRunner(maia, space, port));
  say(`the runner dials ${space.outside}:${port} from ${space.inside}`);

  for (const workflow of [words, slow]) await maia.client.apply(workflow);
  const sha256 = await maia.client.upload(WORDS);
  const files = [{ name: "words.txt", sha256 }];
  const counted = await maia.client.finished((await maia.client.submit("words", { files, runner: "inner" })).id);
  if (counted.outputs?.words !== WORDS.split(" ").length)
    violations.push(`the run ended ${counted.status} with ${JSON.stringify(counted.outputs)}`);

  const { id } = await maia.client.submit("slow", { runner: "inner" });
  await eventually("the step runs", async () => (await maia.client.get<View>("/v1/runners/inner")).inFlight > 0);
  const openSockets = await space.openSockets(runner.pid);
  for (const socket of openSockets) violations.push(`somebody could connect to ${socket}`);
  await checkOutside(space, violations);
  say("the cable is pulled for two seconds");
  await space.cable("down");
  await delay(2_000);
  await space.cable("up");
  const behindFirewall = await tryPorts(space.inside, 1_024);
  await space.unlock();
  const withoutFirewall = await tryPorts(space.inside, 65_535);
  for (const how of [behindFirewall, withoutFirewall])
    if (how.connected) violations.push(`${how.connected} ports of the runner took a connection`);
  const cut = await maia.client.finished(id);
  if (cut.status !== "SUCCEEDED" || cut.steps[0]!.attempts.length !== 1)
    violations.push(
      `the run whose network was cut ended ${cut.status} after ${cut.steps[0]!.attempts.length} attempts`,
    );
  const code = await runner.stop();
  if (code !== 0) violations.push(`the runner was asked to stop, and exited with ${code}\n${runner.log}`);
  const ends = ([run, name]: readonly [Run, string]) => [name, run.status];
  const runs = Object.fromEntries([ends([counted, "words"]), ends([cut, "slow"])]);
  return { openSockets, behindFirewall, withoutFirewall, runs, violations };
}

interface View {
  readonly inFlight: number;
}

async function aRunner(maia: Deployment, space: Namespace, port: number): Promise<MaiaProcess> {
  const { body } = await maia.client.call<{ credentials: { clientId: string; clientSecret: string } }>(
    "POST",
    "/v1/runners",
    { name: "inner", platform: "self_managed", deployment: "process" },
  );
  const env = {
    MAIA_GATEWAY_URL: `http://${space.outside}:${port}`,
    MAIA_CLIENT_ID: body.credentials.clientId,
    MAIA_CLIENT_SECRET: body.credentials.clientSecret,
    MAIA_RUNNER_DATA_DIR: path.join(maia.dataDir, "..", "inner"),
    MAIA_RUNNER_CPU_MARK: "100",
    MAIA_RUNNER_MEMORY_MARK: "100",
    MAIA_TRUST_PROXY: "1",
  };
  return new MaiaProcess(["runner"], env, space.within);
}

/** Its network leads to the API's port, and to no other port of the same host or host of the world. */
async function checkOutside(space: Namespace, violations: string[]): Promise<void> {
  const server = createServer((socket) => socket.destroy()).listen(0, space.outside);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  for (const [host, at] of [[space.outside, port] as const, ["192.0.2.1", 443] as const])
    if ((await tryFrom(space.within, host, at)) === "connected") violations.push(`the runner reaches ${host}:${at}`);
  server.close();
}
