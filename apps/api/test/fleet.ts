import { randomBytes } from "node:crypto";
import {
  type AttemptRef,
  INPUT_ARTIFACT,
  insertArtifact,
  insertAttempt,
  measure,
  moveStep,
  type OwnedRun,
  offerAttempt,
  toDbTime,
} from "@maia/db";
import { newId, sha256Hex } from "@maia/domain";
import { encodeFrames, type Frame, type Task } from "@maia/runner-protocol";
import type { Constants } from "@maia/service";
import { inputText } from "@maia/tasks";
import { readConfig } from "../src/config.js";
import { aRun } from "./rows.js";
import { type Answer, openTestApi, type RequestOptions, type TestApi } from "./support.js";

/** An API whose polls are answered after so many milliseconds at the latest. It waits for headers as long as it takes. */
export function openFleetApi(runnerHeartbeatMs: number, more: Partial<Constants> = {}): Promise<TestApi> {
  const { constants } = readConfig({});
  return openTestApi({ constants: { ...constants, runnerHeartbeatMs, ...more }, headersTimeoutMs: 600_000 });
}

export interface TestRunner {
  readonly id: string;
  readonly secret: string;
}

/** A runner with credentials. */
export async function aRunner({ db, now }: TestApi, name: string, restricted = false): Promise<TestRunner> {
  const id = newId("runner", now);
  const secret = randomBytes(32).toString("base64url");
  const data = { id, name, type: "maia", platform: "self_managed", track: "stable", restricted };
  await db.write(({ models }) =>
    models.runner.create({ data: { ...data, secretHash: sha256Hex(secret), createdAt: now, updatedAt: now } }),
  );
  return { id, secret };
}

/** A published workflow of steps; `more` is merged into its definition. */
export async function published(api: TestApi, slug: string, more: object = {}) {
  const steps = [{ key: "first", runtime: "node", script: "export default () => ({})" }];
  const answer = await api.put(`/v1/workflows/${slug}`, { name: slug, steps, ...more });
  if (answer.status >= 300) throw new Error(answer.text);
  const row = await api.db.sql.get<{ id: string; projectId: string; versionId: string }>(
    `SELECT w."id", w."projectId", v."id" AS "versionId" FROM "Workflow" w JOIN "WorkflowVersion" v ON v."workflowId" = w."id" WHERE w."slug" = ?`,
    slug,
  );
  return { ...row!, slug };
}

export type Published = Awaited<ReturnType<typeof published>>;

export interface Bound {
  readonly ref: AttemptRef;
  readonly run: OwnedRun;
  readonly token: string;
}

/** An attempt that is bound to an instance as an engine would bind it, by default in a run of its own. */
export async function anOffer(
  api: TestApi,
  runner: { readonly runnerId: string; readonly instanceId: string; readonly ledgerId: string },
  workflow: Published,
  so: { readonly isOffered?: boolean; readonly run?: OwnedRun; readonly stepKey?: string } = {},
): Promise<Bound> {
  const { db, now } = api;
  const { isOffered = true, run = await aRun(api, workflow, ["first"]), stepKey = "first" } = so;
  const token = randomBytes(24).toString("base64url");
  const { runnerId, ledgerId, instanceId } = runner;
  const ref = await db.write(async (tx) => {
    await moveStep(tx, run, stepKey, "start", now);
    const attempt = { id: newId("attempt", now), stepKey, no: 1, token, engineId: "eng_test" };
    const ref = await insertAttempt(tx, run, { ...attempt, runnerId, ledgerId }, now);
    const input = await inputText(tx, run.id, stepKey, 1, []);
    const file = { name: INPUT_ARTIFACT, mime: "application/json", ...measure(input), system: true };
    await insertArtifact(tx, ref, file, now);
    await tx.sql.run(`UPDATE "Attempt" SET "instanceId" = ? WHERE "id" = ?`, instanceId, ref.id);
    if (isOffered) await offerAttempt(tx, ref, now);
    return ref;
  });
  return { ref, run, token };
}

/** What the attempt's row says. */
export function attemptRow(api: TestApi, id: string) {
  return api.db.sql.get<{
    status: string;
    handedAt: string | null;
    lastSeq: number;
    failure: string | null;
    exitCode: number | null;
    reason: string | null;
    output: string | null;
  }>(`SELECT * FROM "Attempt" WHERE "id" = ?`, id);
}

/** Pauses a runner. */
export function pause({ db, now }: TestApi, runnerId: string): Promise<unknown> {
  const text = `INSERT INTO "RunnerPause" ("id", "runnerId", "requestedAt") VALUES (?, ?, ?)`;
  return db.write(({ sql }) => sql.run(text, newId("pause", now), runnerId, toDbTime(now)));
}

/** Ends all pauses of a runner and rings, as resuming does. */
export function resume({ db, now }: TestApi, runnerId: string): Promise<unknown> {
  return db.write(async (tx) => {
    tx.ring("engine");
    await tx.sql.run(`UPDATE "RunnerPause" SET "resumedAt" = ? WHERE "runnerId" = ?`, toDbTime(now), runnerId);
  });
}

export interface PollBody {
  readonly free?: number;
  readonly running?: readonly string[];
  readonly [more: string]: unknown;
}

/** A runner by hand: it says what the test tells it to say. */
export class ScriptedRunner {
  instanceId = "";
  generation = 0;

  private constructor(
    readonly api: Pick<TestApi, "request" | "post">,
    readonly runnerId: string,
    readonly token: string,
    readonly ledgerId: string,
  ) {}

  /** With a token, and not yet known. */
  static async withToken(api: Pick<TestApi, "request" | "post">, runner: TestRunner, ledgerId = `lgr_${runner.id}`) {
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: runner.id,
      client_secret: runner.secret,
    });
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const answer = await api.request("POST", "/oauth/token", { key: null, headers, body: body.toString() });
    if (answer.status !== 200) throw new Error(answer.text);
    return new ScriptedRunner(api, runner.id, answer.json.access_token, ledgerId);
  }

  /** With a token, after its hello. */
  static async connect(api: Pick<TestApi, "request" | "post">, runner: TestRunner, ledgerId?: string) {
    const scripted = await ScriptedRunner.withToken(api, runner, ledgerId);
    await scripted.hello();
    return scripted;
  }

  /** Another process of the runner, with the same token. */
  sibling(ledgerId: string): ScriptedRunner {
    return new ScriptedRunner(this.api, this.runnerId, this.token, ledgerId);
  }

  async hello(more: object = {}): Promise<Answer> {
    const about = { protocol: "1.0", version: "0.1.0", slots: 4, isolation: "process-group", ledgerId: this.ledgerId };
    const answer = await this.api.post("/v1/gateway/instances", { ...about, ...more }, { key: this.token });
    if (answer.status === 200) ({ instanceId: this.instanceId, generation: this.generation } = answer.json);
    return answer;
  }

  poll(body: PollBody = {}, headers: Record<string, string> = {}): Promise<Answer> {
    const path = `/v1/gateway/instances/${this.instanceId}/poll`;
    return this.api.post(path, { free: 4, running: [], ...body }, this.#with(headers));
  }

  /** The attempts whose tasks a poll gets. */
  async tasks(body: PollBody = {}): Promise<string[]> {
    return ((await this.poll(body)).json.tasks as Task[]).map(({ attemptId }) => attemptId);
  }

  goodbye(): Promise<Answer> {
    return this.api.request("DELETE", `/v1/gateway/instances/${this.instanceId}`, this.#with());
  }

  frames(
    { ref, token }: Pick<Bound, "ref" | "token">,
    frames: readonly Frame[] | string,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const body = typeof frames === "string" ? frames : encodeFrames(frames);
    const options = this.#with({ "Maia-Attempt-Token": token, "Content-Type": "application/x-ndjson", ...headers });
    return this.api.request("POST", `/v1/gateway/attempts/${ref.id}/frames`, { ...options, body });
  }

  blob(
    method: string,
    { ref, token }: Pick<Bound, "ref" | "token">,
    sha256: string,
    bytes?: Uint8Array<ArrayBuffer>,
  ): Promise<Answer> {
    const options = this.#with({ "Maia-Attempt-Token": token });
    const path = `/v1/gateway/attempts/${ref.id}/blobs/${sha256}`;
    return this.api.request(method, path, bytes ? { ...options, body: bytes } : options);
  }

  #with(headers: Record<string, string> = {}): RequestOptions & { headers: Record<string, string> } {
    return { key: this.token, headers: { "Maia-Generation": String(this.generation), ...headers } };
  }
}

const at = "2026-11-20T12:00:00.000Z";

/** A short honest life of an attempt, as frames. */
export function aLife({ ref }: Pick<Bound, "ref">, lines: readonly string[] = ["hello"]): Frame[] {
  const logs = lines.map((line, index): Frame => ({ type: "log", seq: 2 + index, stream: "stdout", line, at }));
  const last = lines.length + 2;
  return [
    { type: "started", seq: 1, attemptId: ref.id, epoch: 1, pid: 7, isolation: "process-group" },
    ...logs,
    { type: "output", seq: last, data: { answer: 42 } },
    { type: "exit", lastSeq: last, exitCode: 0, signal: null, reason: "exited", error: null },
  ];
}
