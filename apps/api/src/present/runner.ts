import type { RunnerView } from "@maia/db";
import {
  type Release,
  type RunnerConfig,
  type RunnerDefinition,
  type RunnerStatus,
  runnerDeployments,
  runnerPlatforms,
  runnerState,
  runnerTracks,
  runnerTypes,
  supportStates,
} from "@maia/domain";
import {
  choice,
  flag,
  integer,
  list,
  map,
  named,
  nullable,
  type Of,
  object,
  optional,
  passedOn,
  text,
} from "../http/shapes.js";
import { id, iso, moment } from "./common.js";

export const runnerStatuses = ["PENDING", "RUNNING", "UNKNOWN", "STOPPING", "STOPPED", "PAUSING", "PAUSED"] as const;

const count = integer(0, Number.MAX_SAFE_INTEGER);
const amount = (description: string) => passedOn({ type: ["number", "string", "null"], description });

const config = object({
  image: nullable(text()),
  env: map(text(), 256),
  cpu: amount('Cores, such as 0.5 or "500m"'),
  memory: amount('Such as "2Gi"; a bare number is mebibytes'),
  minInstances: count,
  maxInstances: count,
});

const version = object({
  reported: nullable(text({ description: "What its instances say; where they differ, the oldest" })),
  latest: nullable(text({ description: "The newest on its track" })),
  releasedAt: nullable(moment),
  updateAvailable: flag(),
  support: nullable(choice(supportStates)),
});

const runnerFields = {
  id: id("rnr"),
  name: text(),
  description: text(),
  type: choice(runnerTypes),
  platform: choice(runnerPlatforms),
  deployment: nullable(choice(runnerDeployments)),
  track: choice(runnerTracks),
  autoUpdate: flag(),
  restricted: flag(),
  config,
  status: choice(runnerStatuses),
  connected: flag({ description: "Some instance of it can be talked to, also while it is paused" }),
  pausedUntil: nullable(text({ format: "date-time", description: "When a pause ends by itself; null unless PAUSED" })),
  instances: integer(0, 1_000_000, { description: "How many can be talked to" }),
  inFlight: integer(0, 1_000_000_000, { description: "Tasks that it carries out" }),
  queued: integer(0, 1_000_000_000, { description: "Jobs and steps that wait for it" }),
  version,
  createdAt: moment,
  updatedAt: moment,
} as const;

const example = {
  id: "rnr_01kc1x0000000000000000000a",
  name: "warehouse-eu",
  description: "Beside the warehouse in Frankfurt",
  type: "maia",
  platform: "kubernetes",
  deployment: "helm",
  track: "stable",
  autoUpdate: true,
  restricted: true,
  config: { image: null, env: { TZ: "UTC" }, cpu: 1, memory: "2Gi", minInstances: 2, maxInstances: 10 },
  status: "RUNNING",
  connected: true,
  pausedUntil: null,
  instances: 2,
  inFlight: 3,
  queued: 0,
  version: {
    reported: "1.3.0",
    latest: "1.4.0",
    releasedAt: "2026-11-01T00:00:00.000Z",
    updateAvailable: true,
    support: "SUPPORTED",
  },
  createdAt: "2026-11-20T12:00:00.123Z",
  updatedAt: "2026-11-20T12:00:00.123Z",
} as const;

export const runner = named("Runner", object(runnerFields), example);

export const changedRunner = named(
  "ChangedRunner",
  object({ ...runnerFields, notices: list(text(), 10, { description: "What the change does not do by itself" }) }),
);

export const credentials = named("RunnerCredentials", object({ clientId: id("rnr"), clientSecret: text() }), {
  clientId: "rnr_01kc1x0000000000000000000a",
  clientSecret: "mcs_0Zk3R2Qb1n4V5x6C7z8M9a0S1d2F3g4H5j6K7l8P9o0",
});

export const newRunner = named(
  "RunnerWithCredentials",
  object({ ...runnerFields, credentials: optional(credentials) }),
);

export const removed = named(
  "RemovedRunner",
  object({
    id: id("rnr"),
    name: text(),
    remains: text({ description: "What stays behind where it was deployed, for you to clean up" }),
    inFlight: count,
    queued: count,
    environments: list(text(), 10_000, { description: "Those whose default it was; their jobs go to `hosted` now" }),
    schedules: integer(0, 1_000_000_000, { description: "Enabled ones that name it; they make no jobs any more" }),
  }),
  {
    id: "rnr_01kc1x0000000000000000000a",
    name: "warehouse-eu",
    remains: "Maia has removed its record of the runner, and nothing else.",
    inFlight: 0,
    queued: 0,
    environments: [],
    schedules: 0,
  },
);

/** The part of a runner that people define. */
export function definitionOf(view: Omit<RunnerView, "sight">): RunnerDefinition {
  const { name, description, type, platform, deployment, track, autoUpdate, restricted } = view;
  return {
    name,
    description,
    type: type as RunnerDefinition["type"],
    platform: platform as RunnerDefinition["platform"],
    deployment: deployment as RunnerDefinition["deployment"],
    track: track as RunnerDefinition["track"],
    autoUpdate: autoUpdate === 1,
    restricted: restricted === 1,
    config: { ...EMPTY, ...JSON.parse(view.config) },
  };
}

const EMPTY: RunnerConfig = { image: null, env: {}, cpu: null, memory: null, minInstances: 1, maxInstances: 1 };

/** What presenting runners needs besides their rows. */
export interface Presenting {
  readonly releases: readonly Release[];
  readonly autoResumeMs: number;
  readonly now: Date;
  /** The version of the hosted runner: Maia's own. */
  readonly ownVersion: string;
}

/** A runner as the API answers it. */
export function presentRunner(view: RunnerView, context: Presenting): Of<typeof runner> {
  const { version, ...state } = runnerState(view.sight, context.releases, context.autoResumeMs, context.now);
  const { latest, releasedAt, updateAvailable, support, reported } = version;
  return {
    id: view.id,
    ...definitionOf(view),
    ...state,
    status: state.status satisfies RunnerStatus,
    pausedUntil: iso(state.pausedUntil),
    version:
      view.platform === "hosted"
        ? hostedVersion(context.ownVersion)
        : { reported, latest, releasedAt: iso(releasedAt), updateAvailable, support },
    createdAt: new Date(view.createdAt).toISOString(),
    updatedAt: new Date(view.updatedAt).toISOString(),
  };
}

/** The hosted runner comes with Maia and so is always the latest. */
function hostedVersion(own: string): Of<typeof version> {
  return { reported: own, latest: own, releasedAt: null, updateAvailable: false, support: "SUPPORTED" };
}
