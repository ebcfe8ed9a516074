import {
  createRunnerCommand,
  dropCommand,
  isEnginesOwn,
  type LiveInstance,
  liveInstances,
  type RunnerRow,
  viewRunner,
} from "@maia/db";
import { MaiaError, runnerStatus } from "@maia/domain";
import { type ConnectionResult, refuseTestTarget, testConnection } from "@maia/outbound";
import { HttpProblem } from "../http/problems.js";
import type { Call } from "../http/route.js";
import { retryAfter } from "../rate-limit.js";
import { outcomeWithin } from "./command-outcome.js";
import { noted } from "./noted.js";

/** How often somebody may have connections tried per minute: this is a test, and no scanner. */
export const TESTS_PER_MINUTE = 30;

/** How much longer than the test itself we wait for its result to come back, in milliseconds. */
const MARGIN_MS = 4_000;

/** What the oldest runners say nothing of. */
const CAPABILITY = "connectivity";
const TOO_OLD = "Runner task failed: The runner version does not support this feature";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * Has a runner try one TCP connection.
 * @throws {MaiaError} STATE_CONFLICT unless it is RUNNING, URL_BLOCKED, RUNNER_VERSION_UNSUPPORTED; {HttpProblem} RATE_LIMITED
 */
export async function tryConnection(call: Call, runner: RunnerRow, endpoint: Endpoint): Promise<ConnectionResult> {
  const { context, now, caller } = call;
  const { urlAllow: allow } = context;
  const { constants } = context.config;
  const waitMs = context.connectionTests.take(caller.id, now);
  if (waitMs > 0) throw new HttpProblem("RATE_LIMITED", "Too many tests of connections", retryAfter(waitMs));
  const { facts } = (await viewRunner(context.db.sql, runner)).sight;
  const status = runnerStatus(facts, constants.pauseAutoResumeMs, now);
  if (status !== "RUNNING")
    throw new MaiaError(
      "STATE_CONFLICT",
      `The runner ${runner.name} is ${status}; only a RUNNING one can test a connection`,
    );
  const { host, port } = endpoint;
  refuseTestTarget(host, port, allow);
  const timeoutMs = constants.connectivityTimeoutMs;
  const result = isEnginesOwn(runner)
    ? await testConnection({ host, port, timeoutMs, allow })
    : await testAfar(call, await capableInstance(call, runner), { ...endpoint, timeoutMs });
  await context.db.write((tx) => noted(tx, call, runner.id, { action: "CONNECTIVITY", data: { ...result } }));
  return result;
}

async function capableInstance({ context }: Call, { id }: RunnerRow): Promise<LiveInstance & { runnerId: string }> {
  const staying = (await liveInstances(context.db.sql, id)).filter(({ stoppingAt }) => stoppingAt === null);
  const able = staying.find(({ capabilities }) => (JSON.parse(capabilities) as string[]).includes(CAPABILITY));
  if (able) return { ...able, runnerId: id };
  throw new MaiaError("RUNNER_VERSION_UNSUPPORTED", TOO_OLD);
}

/** Asks an instance, and waits for what it says with one of its next polls. */
async function testAfar(
  { context, now }: Call,
  { id: instanceId, runnerId }: LiveInstance & { runnerId: string },
  data: Endpoint & { readonly timeoutMs: number },
): Promise<ConnectionResult> {
  const { db, stopping } = context;
  const command = { runnerId, instanceId, type: "CONNECTIVITY" as const, data: { ...data } };
  const commandId = await db.write((tx) => createRunnerCommand(tx, command, now));
  const withinMs = data.timeoutMs + MARGIN_MS;
  const outcome = await outcomeWithin(context, commandId, withinMs, stopping);
  if (outcome) return resultOf(outcome.result, data);
  await db.write((tx) => dropCommand(tx, commandId, context.clock()));
  const detail = `the runner has said nothing within ${withinMs} ms`;
  return { result: "TIMEOUT", host: data.host, port: data.port, detail };
}

/** What an instance says. It is the runner's own guard that knows where a name leads from there. */
function resultOf(text: string | null, { host, port }: Endpoint): ConnectionResult {
  const said = text === null ? {} : (JSON.parse(text) as { result?: unknown; code?: unknown; detail?: unknown });
  const detail = typeof said.detail === "string" ? said.detail.slice(0, 500) : undefined;
  if (said.code === "URL_BLOCKED" || said.result === "URL_BLOCKED")
    throw new MaiaError("URL_BLOCKED", detail ?? "The runner does not connect there");
  if (said.result === "SUCCESS") return { result: "SUCCESS", host, port };
  return { result: "TIMEOUT", host, port, ...(detail === undefined ? {} : { detail }) };
}
