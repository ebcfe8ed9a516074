import { sha256Hex } from "@maia/domain";
import type { Scene } from "./scene.js";

/** A request, but for its method and who sends it. */
export interface Asked {
  readonly path: string;
  readonly json?: unknown;
  readonly form?: Record<string, string>;
  readonly text?: string;
  readonly headers?: Record<string, string>;
}

/** How a route is asked for something that is there, what it answers then, and what it leaves behind. */
export interface HowToAsk {
  /** Each makes the objects that it names anew. The first is what roles are tried with; all name objects of one project. */
  readonly ask: readonly ((scene: Scene) => Promise<Asked> | Asked)[];
  readonly status: number;
  /** What the audit log says of it; null: nothing, since it changes nothing that S21 names. */
  readonly audit?: string | null;
  /** What an administrator of another project gets, where the request names no object. */
  readonly elsewhere?: number;
  /** The stream goes on. */
  readonly endless?: true;
}

const json = (path: string, value: unknown): Asked => ({ path, json: value });
const at = (path: string) => () => ({ path });
const steps = [{ key: "a", script: "x" }];
const hello = { protocol: "1.0", version: "0.1.0", slots: 4, isolation: "sandbox" };
const rename = { description: "Another one." };

type Ask = HowToAsk["ask"][number];
const ofJob =
  (end = ""): Ask =>
  async (scene) => ({ path: `/v1/jobs/${await scene.job()}${end}` });
const ofRun =
  (end = ""): Ask =>
  async (scene) => ({ path: `/v1/runs/${await scene.run()}${end}` });
const ofEnded =
  (end: string): Ask =>
  async (scene) => ({ path: `/v1/runs/${(await scene.endedRun()).id}${end}` });
const ofBatch =
  (end = ""): Ask =>
  async (scene) => ({ path: `/v1/batches/${await scene.batch()}${end}` });
const ofSchedule =
  (end = ""): Ask =>
  async (scene) => ({ path: `/v1/schedules/${await scene.schedule()}${end}` });
const ofKey: Ask = async (scene) => ({ path: `/v1/api-keys/${await scene.key()}` });
const ofProject = (end = ""): readonly Ask[] => [
  ({ projectId }) => ({ path: `/v1/projects/${projectId}${end}` }),
  () => ({ path: `/v1/projects/mine${end}` }),
];
/** By its id, by its name in a project that is named, and by its name in one that is not. */
const ofWorkflow = (end = "", body?: unknown): readonly Ask[] => [
  async (scene) => ({ path: `/v1/workflows/${(await scene.workflow()).id}${end}`, json: body }),
  async (scene) => ({
    path: `/v1/workflows/${(await scene.workflow()).slug}${end}${and(end)}project=mine`,
    json: body,
  }),
];
const and = (text: string) => (text.includes("?") ? "&" : "?");
/** What takes a workflow, by its id or by its name. */
const forWorkflow = (path: string, more: object): readonly Ask[] => [
  async (scene) => json(path, { workflow: (await scene.workflow()).id, ...more }),
  async (scene) => json(path, { workflow: (await scene.workflow()).slug, project: "mine", ...more }),
];
const listOf = (path: string, ...filters: readonly Ask[]): readonly Ask[] => [
  at(path),
  () => ({ path: `${path}?project=mine` }),
  ...filters,
];
/** A runner that only this project may use. */
const ofRunner =
  (end = "", body?: unknown): Ask =>
  async (scene) => ({
    path: `/v1/runners/${await scene.ownRunner()}${end}`,
    ...(body === undefined ? {} : { json: body }),
  });
const interval = { kind: "interval", intervalMs: 60_000 };

/** By operationId. A route that is not here fails the tests of access until somebody has said how to ask it. */
export const howToAsk: Readonly<Record<string, HowToAsk>> = {
  getHealth: { ask: [at("/healthz")], status: 200 },
  getReadiness: { ask: [at("/readyz")], status: 200 },
  getMetrics: { ask: [at("/metrics")], status: 200 },
  getOpenApi: { ask: [at("/v1/openapi.json")], status: 200 },
  getMe: { ask: [at("/v1/me")], status: 200 },
  createToken: {
    ask: [
      async (scene) => {
        const { id, secret } = await scene.client();
        const form = { grant_type: "client_credentials", client_id: id, client_secret: secret };
        return { path: "/oauth/token", form };
      },
    ],
    status: 200,
    audit: "token.issue",
  },

  describeGateway: { ask: [at("/v1/gateway")], status: 200 },
  sayHello: {
    ask: [(scene) => json("/v1/gateway/instances", { ...hello, ledgerId: `lgr_${scene.name()}` })],
    status: 200,
    audit: null,
  },
  pollGateway: {
    ask: [
      async (scene) => {
        const { path, headers } = await scene.instance();
        return { path: `${path}/poll`, headers, json: { free: 1, running: [] } };
      },
    ],
    status: 200,
    audit: null,
  },
  sayGoodbye: { ask: [(scene) => scene.instance()], status: 204, audit: null },
  sendFrames: {
    ask: [
      async (scene) => {
        const { path, headers, frames } = await scene.attempt();
        return {
          path: `${path}/frames`,
          headers: { ...headers, "Content-Type": "application/x-ndjson" },
          text: frames,
        };
      },
    ],
    status: 200,
    audit: null,
  },
  getTaskContent: {
    ask: [
      async (scene) => {
        const { path, headers, script } = await scene.attempt();
        return { path: `${path}/blobs/${script}`, headers };
      },
    ],
    status: 200,
  },
  putArtifactContent: {
    ask: [
      async (scene) => {
        const { path, headers } = await scene.attempt();
        const text = `artifact ${scene.name()}`;
        return { path: `${path}/blobs/${sha256Hex(text)}`, headers, text };
      },
    ],
    status: 201,
    audit: null,
  },
  findUnusedContent: {
    ask: [
      async (scene) => {
        const { path, headers } = await scene.keeper();
        return { path: `${path}/unused-content`, headers, json: { blobs: [] } };
      },
    ],
    status: 200,
    audit: null,
  },
  getTransfer: { ask: [(scene) => scene.sending()], status: 200 },
  putTransfer: { ask: [(scene) => scene.transfer()], status: 204, audit: null },

  listJobs: {
    ask: listOf("/v1/jobs", async (scene) => ({ path: `/v1/jobs?workflow=${(await scene.workflow()).id}` })),
    status: 200,
  },
  createJob: {
    ask: [
      ...forWorkflow("/v1/jobs", {}),
      async (scene) => {
        const { id } = await scene.workflow();
        return json("/v1/jobs", { workflow: id, files: [{ name: "a.txt", sha256: await scene.blob() }] });
      },
    ],
    status: 201,
    audit: null,
  },
  getJob: { ask: [ofJob()], status: 200 },
  explainJob: { ask: [ofJob("/why")], status: 200 },
  cancelJob: { ask: [ofJob("/cancel")], status: 202, audit: "job.cancel" },
  deleteJob: {
    ask: [async (scene) => ({ path: `/v1/jobs/${(await scene.endedRun()).jobId}` })],
    status: 204,
    audit: "job.delete",
  },

  listRuns: {
    ask: listOf("/v1/runs", async (scene) => ({ path: `/v1/runs?workflow=${(await scene.workflow()).id}` })),
    status: 200,
  },
  getRun: { ask: [ofRun()], status: 200 },
  cancelRun: { ask: [ofRun("/cancel")], status: 202, audit: "job.cancel" },
  deleteRun: { ask: [ofEnded("")], status: 204, audit: "job.delete" },
  rerunRun: {
    ask: [async (scene) => json(`/v1/runs/${(await scene.endedRun()).id}/rerun`, {})],
    status: 201,
    audit: "run.rerun",
  },
  getLogs: { ask: [ofEnded("/logs")], status: 200 },
  followRun: { ask: [ofEnded("/events?until=end")], status: 200 },
  followAll: { ask: listOf("/v1/events"), status: 200, endless: true },
  listArtifacts: { ask: [ofEnded("/artifacts")], status: 200 },
  getArtifact: {
    ask: [async (scene) => ({ path: `/v1/artifacts/${(await scene.endedRun()).artifact}` })],
    status: 200,
  },
  getArtifactContent: {
    ask: [async (scene) => ({ path: `/v1/artifacts/${(await scene.endedRun()).artifact}/content` })],
    status: 200,
  },
  getFileContent: {
    ask: [async (scene) => ({ path: `/v1/files/${(await scene.endedRun()).file}/content` })],
    status: 200,
  },
  hasBlob: { ask: [async (scene) => ({ path: `/v1/blobs/${await scene.blob()}` })], status: 200 },
  putBlob: {
    ask: [
      (scene) => {
        const text = `content of ${scene.name()}`;
        return { path: `/v1/blobs/${sha256Hex(text)}?project=mine`, text };
      },
    ],
    status: 201,
    audit: null,
  },

  listBatches: {
    ask: listOf("/v1/batches", async (scene) => ({ path: `/v1/batches?workflow=${(await scene.workflow()).id}` })),
    status: 200,
  },
  createBatch: { ask: forWorkflow("/v1/batches", { items: [{}] }), status: 201, audit: null },
  getBatch: { ask: [ofBatch()], status: 200 },
  updateBatch: {
    ask: [async (scene) => json(`/v1/batches/${await scene.batch()}`, { concurrency: 2 })],
    status: 200,
    audit: "batch.update",
  },
  getBatchResults: { ask: [ofBatch("/results")], status: 200 },
  cancelBatch: { ask: [ofBatch("/cancel")], status: 202, audit: "batch.cancel" },
  pauseBatch: { ask: [ofBatch("/pause")], status: 202, audit: "batch.pause" },
  resumeBatch: {
    ask: [
      async (scene) => {
        const id = await scene.batch();
        await scene.api.post(`/v1/batches/${id}/pause`);
        return { path: `/v1/batches/${id}/resume` };
      },
    ],
    status: 202,
    audit: "batch.resume",
  },
  retryBatch: {
    ask: [async (scene) => json(`/v1/batches/${await scene.failedBatch()}/retry`, { rows: "failed" })],
    status: 201,
    audit: "batch.retry",
  },

  listWorkflows: { ask: listOf("/v1/workflows"), status: 200 },
  getWorkflow: { ask: ofWorkflow(), status: 200 },
  putWorkflow: { ask: ofWorkflow("", { steps }), status: 200, audit: "workflow.publish" },
  patchWorkflow: {
    ask: [async (scene) => json(`/v1/workflows/${await scene.published()}`, rename)],
    status: 200,
    audit: "workflow.publish",
  },
  deleteWorkflow: { ask: ofWorkflow(), status: 204, audit: "workflow.delete" },
  listVersions: { ask: ofWorkflow("/versions"), status: 200 },
  createVersion: { ask: ofWorkflow("/versions", { definition: { steps } }), status: 201, audit: "version.create" },
  getVersion: { ask: ofWorkflow("/versions/1"), status: 200 },
  compareVersions: { ask: ofWorkflow("/versions/1/diff"), status: 200 },
  exportVersion: { ask: ofWorkflow("/versions/1/export"), status: 200 },
  promoteVersion: {
    ask: [
      async (scene) => {
        const { id } = await scene.workflow();
        await scene.api.put(`/v1/workflows/${id}`, { steps });
        return { path: `/v1/workflows/${id}/versions/1/promote` };
      },
    ],
    status: 201,
    audit: "version.promote",
  },

  listSchedules: {
    ask: listOf("/v1/schedules", async (scene) => ({ path: `/v1/schedules?workflow=${(await scene.workflow()).id}` })),
    status: 200,
  },
  createSchedule: { ask: forWorkflow("/v1/schedules", interval), status: 201, audit: "schedule.create" },
  getSchedule: { ask: [ofSchedule()], status: 200 },
  updateSchedule: {
    ask: [async (scene) => json(`/v1/schedules/${await scene.schedule()}`, { enabled: false })],
    status: 200,
    audit: "schedule.update",
  },
  deleteSchedule: { ask: [ofSchedule()], status: 204, audit: "schedule.delete" },
  triggerSchedule: { ask: [ofSchedule("/trigger")], status: 201, audit: null },
  listUpcoming: { ask: [ofSchedule("/upcoming")], status: 200 },
  listTicks: { ask: [ofSchedule("/ticks")], status: 200 },

  listProjects: { ask: [at("/v1/projects")], status: 200 },
  createProject: {
    ask: [(scene) => json("/v1/projects", { name: scene.name().replace("mine", "new") })],
    status: 201,
    audit: "project.create",
    elsewhere: 403,
  },
  getProject: { ask: ofProject(), status: 200 },
  listEnvironments: { ask: ofProject("/environments"), status: 200 },
  createEnvironment: {
    ask: [(scene) => json(`/v1/projects/${scene.projectId}/environments`, { name: scene.name() })],
    status: 201,
    audit: "environment.create",
  },
  getEnvironment: {
    ask: [async (scene) => ({ path: `/v1/projects/${scene.projectId}/environments/${await scene.environment()}` })],
    status: 200,
  },
  updateEnvironment: {
    ask: [
      async (scene) =>
        json(`/v1/projects/${scene.projectId}/environments/${await scene.environment()}`, { variables: { A: "b" } }),
    ],
    status: 200,
    audit: "environment.update",
  },
  listSecrets: { ask: [async (scene) => ({ path: `/v1/environments/${await scene.secret()}/secrets` })], status: 200 },
  getSecret: {
    ask: [async (scene) => ({ path: `/v1/environments/${await scene.secret()}/secrets/TOKEN` })],
    status: 200,
  },
  putSecret: {
    ask: [async (scene) => json(`/v1/environments/${await scene.environment()}/secrets/TOKEN`, { value: "swordfish" })],
    status: 201,
    audit: "secret.put",
  },
  deleteSecret: {
    ask: [async (scene) => ({ path: `/v1/environments/${await scene.secret()}/secrets/TOKEN` })],
    status: 204,
    audit: "secret.delete",
  },

  listRunners: { ask: [at("/v1/runners")], status: 200 },
  createRunner: {
    ask: [(scene) => json("/v1/runners", { name: scene.name().replace("mine", "new"), platform: "aws" })],
    status: 201,
    audit: "runner.create",
    elsewhere: 403,
  },
  getRunner: { ask: [ofRunner()], status: 200 },
  updateRunner: { ask: [ofRunner("", rename)], status: 200, audit: "runner.update" },
  removeRunner: { ask: [ofRunner()], status: 200, audit: "runner.remove" },
  commandRunner: { ask: [ofRunner("/commands", { command: "PAUSE" })], status: 202, audit: "runner.pause" },
  revealCredentials: { ask: [ofRunner("/credentials")], status: 200, audit: "runner.secret_reveal" },
  refreshCredentials: {
    ask: [ofRunner("/credentials", { action: "SECRET_REFRESH" })],
    status: 200,
    audit: "runner.secret_refresh",
  },
  testConnectivity: {
    ask: [() => json("/v1/runners/hosted/connectivity", { host: "nowhere.invalid", port: 80 })],
    status: 200,
    audit: "runner.connectivity",
    elsewhere: 404,
  },
  getAllowList: { ask: [ofRunner("/allowlist")], status: 200 },
  replaceAllowList: { ask: [ofRunner("/allowlist", { projects: {} })], status: 200, audit: "runner.allowlist" },
  extendAllowList: {
    ask: [ofRunner("/allowlist", { projects: { default: {} } })],
    status: 200,
    audit: "runner.allowlist",
  },
  narrowAllowList: { ask: [ofRunner("/allowlist?projectId=mine")], status: 200, audit: "runner.allowlist" },
  getRunnerDeployment: { ask: [ofRunner("/deployment")], status: 200 },
  listRunnerParameters: { ask: [ofRunner("/parameters")], status: 200 },
  listRunnerActivity: { ask: [ofRunner("/activity")], status: 200 },
  listRunnerInstances: { ask: [ofRunner("/instances")], status: 200 },
  listRunnerReleases: { ask: [at("/v1/runner-releases")], status: 200 },
  putRunnerRelease: {
    ask: [(scene) => json("/v1/runner-releases", { version: `1.0.${scene.name().split("-")[1]}`, track: "current" })],
    status: 201,
    audit: "runner.release",
    elsewhere: 403,
  },

  listApiKeys: { ask: [at("/v1/api-keys")], status: 200 },
  createApiKey: {
    ask: [(scene) => json("/v1/api-keys", { name: scene.name(), role: "viewer", projects: [scene.projectId] })],
    status: 201,
    audit: "key.create",
  },
  getApiKey: { ask: [ofKey], status: 200 },
  revokeApiKey: { ask: [ofKey], status: 204, audit: "key.revoke" },
  listAuditEvents: { ask: [at("/v1/audit-events")], status: 200, elsewhere: 403 },
};
