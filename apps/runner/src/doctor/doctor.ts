import { checkProtocolVersion, PROTOCOL_VERSION, ProtocolError } from "@maia/runner-protocol";
import { GatewayClient, GatewayError, type Reach } from "@maia/runner-protocol/client";
import { ConfigError, type Env, readOptional } from "@maia/service";
import { type RunnerConfig, readConfig } from "../config.js";
import type { GatewayCarrierConfig } from "../gateway/gateway-config.js";
import { openReach } from "../gateway/reach.js";
import { VERSION } from "../version.js";
import { type Diagnosis, type Finding, type Layer, layers, NotNeeded, Trouble } from "./findings.js";
import { checkDisk, checkIsolation } from "./host.js";
import { checkDns, checkTcp, checkTls, type Way, wayOf } from "./way.js";

/** What the checks work with, once the configuration is read. */
interface Scene {
  readonly config: RunnerConfig;
  readonly carrier: GatewayCarrierConfig;
  readonly reach: Reach;
  readonly way: Way;
  readonly client: GatewayClient;
  readonly clock: () => Date;
}

/** Clocks further apart than this make tokens and certificates look expired, and logs hard to read. In milliseconds. */
const CLOCK_APART_MS = 60_000;
const ANSWER_MS = 15_000;

type Check = (scene: Scene) => Promise<string>;

/** Each says what it has found, or throws Trouble or NotNeeded. */
const checks: Readonly<Record<Exclude<Layer, "configuration">, Check>> = {
  dns: ({ way }) => checkDns(way),
  tcp: ({ way, reach }) => checkTcp(way, reach.authorities),
  tls: ({ way, reach }) => checkTls(way, reach.authorities),
  clock: checkClock,
  credentials: checkCredentials,
  protocol: checkProtocol,
  isolation: ({ config }) => checkIsolation(config),
  disk: ({ config }) => checkDisk(config),
};

/** These can be looked at although the gateway is not reached. */
const ofThisHost: ReadonlySet<Layer> = new Set(["isolation", "disk"]);

/** Finds out what keeps a runner with this environment from working. It changes nothing, here or at the gateway. */
export async function diagnose(env: Env, clock: () => Date = () => new Date()): Promise<Diagnosis> {
  const findings: Finding[] = [];
  const scene = await prepare(env, clock).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    return error;
  });
  if (scene instanceof ConfigError) {
    findings.push({ layer: "configuration", status: "failed", detail: scene.message, fix: "Correct the setting" });
  } else {
    const { carrier, config } = scene;
    findings.push(ok("configuration", `${carrier.clientId} dials ${carrier.url}, with ${config.slots} slots`));
  }
  for (const layer of layers) {
    if (layer === "configuration") continue;
    const failed = findings.find(({ status }) => status === "failed");
    if (scene instanceof ConfigError || (failed && !ofThisHost.has(layer)))
      findings.push({ layer, status: "skipped", detail: `${failed?.layer} comes first`, fix: null });
    else findings.push(await examine(layer, () => checks[layer](scene)));
  }
  if (!(scene instanceof ConfigError)) scene.client.close();
  const firstFailure = findings.find(({ status }) => status === "failed")?.layer ?? null;
  return { ok: firstFailure === null, firstFailure, findings };
}

async function prepare(env: Env, clock: () => Date): Promise<Scene> {
  if (readOptional(env, "MAIA_GATEWAY_URL") === null)
    throw new ConfigError("MAIA_GATEWAY_URL is not set; set it to the address of the API that the runner dials");
  const config = readConfig(env);
  const carrier = config.carrier as GatewayCarrierConfig;
  const { url, clientId, clientSecret } = carrier;
  const reach = await openReach(carrier.reach, new URL(url).hostname);
  const client = new GatewayClient({ url, clientId, clientSecret, reach, answerMs: ANSWER_MS });
  return { config, carrier, reach, client, clock, way: wayOf(url, carrier.reach) };
}

async function examine(layer: Layer, check: () => Promise<string>): Promise<Finding> {
  try {
    return ok(layer, await check());
  } catch (error) {
    if (error instanceof NotNeeded) return { layer, status: "skipped", detail: error.message, fix: null };
    if (error instanceof Trouble) return { layer, status: "failed", detail: error.message, fix: error.fix };
    if (!(error instanceof GatewayError)) throw error;
    const detail =
      error.code === "UNREACHABLE" ? `there is no answer as Maia gives it (${error.message})` : error.message;
    const fix =
      "See that MAIA_GATEWAY_URL is the API's address, what its log says, and that nothing on the way answers in its place";
    return { layer, status: "failed", detail, fix };
  }
}

function ok(layer: Layer, detail: string): Finding {
  return { layer, status: "ok", detail, fix: null };
}

/** Compares the clocks by the head of an answer, which has whole seconds. */
async function checkClock({ client, clock }: Scene): Promise<string> {
  const at = await client.readClock();
  if (at === null) throw new NotNeeded("the gateway's answers carry no date");
  const aheadMs = clock().getTime() - at.getTime();
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  if (Math.abs(aheadMs) <= CLOCK_APART_MS) return `${seconds} s apart from the gateway's`;
  throw new Trouble(
    `the clock of this host is ${seconds} s ${aheadMs > 0 ? "ahead of" : "behind"} the gateway's`,
    "Have both hosts keep their time (chrony, systemd-timesyncd)",
  );
}

async function checkCredentials({ client }: Scene): Promise<string> {
  try {
    await client.exchange();
    return "the gateway accepts them";
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== "CREDENTIALS_REFUSED") throw error;
    throw new Trouble(
      `the gateway refuses the credentials (${error.message})`,
      "Set MAIA_CLIENT_ID and MAIA_CLIENT_SECRET to what maia runners credentials RUNNER shows; a refreshed secret replaces the old one",
      { cause: error },
    );
  }
}

/** Asks what the gateway speaks; a hello would leave an instance behind. */
async function checkProtocol({ client }: Scene): Promise<string> {
  try {
    const protocol = await client.readProtocol();
    checkProtocolVersion(protocol);
    return `the gateway speaks ${protocol}, and this runner (${VERSION}) speaks ${PROTOCOL_VERSION}`;
  } catch (error) {
    if (error instanceof GatewayError && error.code === "NOT_FOUND")
      throw new NotNeeded("the gateway is older than this question");
    if (!(error instanceof ProtocolError)) throw error;
    throw new Trouble(
      `the gateway speaks another version of the protocol: ${error.message}`,
      "Run a version of the runner that fits the API; GET /v1/runners/{id} names the latest",
      { cause: error },
    );
  }
}
