import { addressNameProblem, textProblem, VARIABLES_MAX, variableNameProblem, variableValueProblem } from "./names.js";
import { type Reader, show } from "./reader.js";
import { type RunnerTrack, runnerTracks } from "./version-track.js";

export const runnerTypes = ["maia", "streaming"] as const;
export type RunnerType = (typeof runnerTypes)[number];

/** How a runner can be deployed, by platform; the first is meant unless one is named. The hosted runner is Maia's own. */
export const deployments = {
  hosted: [],
  aws: ["fargate"],
  azure: ["container_app", "aci"],
  gcp: ["gke"],
  snowflake: ["native_app"],
  kubernetes: ["helm", "manifests"],
  self_managed: ["docker", "systemd", "process"],
} as const;

export type RunnerPlatform = keyof typeof deployments;
export type RunnerDeployment = (typeof deployments)[RunnerPlatform][number];

export const runnerPlatforms = Object.keys(deployments) as RunnerPlatform[];
export const runnerDeployments = Object.values(deployments).flat();

/** What an instance is started with. */
export interface RunnerConfig {
  readonly image: string | null;
  readonly env: { readonly [name: string]: string };
  /** Cores: a number, or a text such as "0.5" or "500m". */
  readonly cpu: number | string | null;
  /** A text with its unit such as "2Gi"; a bare number is mebibytes. */
  readonly memory: number | string | null;
  readonly minInstances: number;
  readonly maxInstances: number;
}

/** What a runner is made with, and what of it can change. */
export interface RunnerDefinition {
  readonly name: string;
  readonly description: string;
  readonly type: RunnerType;
  readonly platform: RunnerPlatform;
  readonly deployment: RunnerDeployment | null;
  readonly track: RunnerTrack;
  readonly autoUpdate: boolean;
  readonly restricted: boolean;
  readonly config: RunnerConfig;
}

export const RUNNER_NAME_MAX = 30;
export const RUNNER_DESCRIPTION_MAX = 500;
export const INSTANCES_MAX = 1_000;
const IMAGE_MAX = 512;

const fixed = ["type", "platform", "deployment"] as const;
const changeable = ["name", "description", "track", "autoUpdate", "restricted", "config"] as const;

/** Reads the request for a new runner. */
export function readRunnerDefinition(root: Reader): RunnerDefinition {
  const field = root.object([...changeable, ...fixed]);
  const platform = field("platform").oneOf(runnerPlatforms);
  if (platform === "hosted" && field("platform").value === "hosted")
    field("platform").fail("the hosted runner is Maia's own, and there is one; choose where yours is to run");
  const start = {
    type: field("type").oneOf(runnerTypes, "maia"),
    platform,
    deployment: readDeployment(field("deployment"), platform),
    name: "",
    description: "",
    track: platform === "snowflake" ? ("stable" as const) : ("current" as const),
    autoUpdate: false,
    restricted: false,
    config: { image: null, env: {}, cpu: null, memory: null, minInstances: 1, maxInstances: 1 },
  };
  if (field("name").isAbsent) field("name").fail("is required");
  return checked(readChanges(field, start), field);
}

/** Reads a change to a runner: what it does not name stays. */
export function readRunnerChange(root: Reader, current: RunnerDefinition): RunnerDefinition {
  const hint = "cannot be changed; make another runner, and remove this one";
  const field = root.object(changeable, Object.fromEntries(fixed.map((name) => [name, hint])));
  return checked(readChanges(field, current), field);
}

type Field = (name: string) => Reader;

function readChanges(field: Field, now: RunnerDefinition): RunnerDefinition {
  const description = field("description");
  const config = field("config");
  return {
    ...now,
    name: field("name").isAbsent ? now.name : field("name").string(runnerNameProblem),
    description: description.isAbsent ? now.description : description.string(descriptionProblem),
    track: field("track").oneOf(runnerTracks, now.track),
    autoUpdate: field("autoUpdate").boolean(now.autoUpdate),
    restricted: field("restricted").boolean(now.restricted),
    config: config.isAbsent ? now.config : readConfig(config, now.config),
  };
}

/** What does not go together. */
function checked(runner: RunnerDefinition, field: Field): RunnerDefinition {
  const { type, platform, track, autoUpdate, restricted } = runner;
  if (platform === "snowflake") {
    if (type === "streaming") field("platform").fail("a streaming runner cannot run in Snowflake");
    if (track !== "stable") field("track").fail("a runner in Snowflake has the track stable only");
    if (autoUpdate) field("autoUpdate").fail("a runner in Snowflake cannot update itself");
  }
  if (type === "streaming" && restricted) field("restricted").fail("a streaming runner cannot be restricted");
  return runner;
}

function readDeployment(place: Reader, platform: RunnerPlatform): RunnerDeployment | null {
  const possible: readonly RunnerDeployment[] = deployments[platform];
  const [first] = possible;
  return first === undefined ? null : place.oneOf(possible, first);
}

function readConfig(place: Reader, now: RunnerConfig): RunnerConfig {
  const field = place.object(["image", "env", "cpu", "memory", "minInstances", "maxInstances"]);
  const minInstances = field("minInstances").integer(0, INSTANCES_MAX, now.minInstances);
  const atLeast = Math.max(minInstances, 1);
  const maxInstances = field("maxInstances").integer(1, INSTANCES_MAX, Math.max(now.maxInstances, atLeast));
  if (maxInstances < minInstances)
    field("maxInstances").fail(`must not be less than minInstances, which is ${minInstances}`);
  return {
    image: field("image").isAbsent ? now.image : field("image").optionalString(imageProblem),
    env: field("env").isAbsent ? now.env : readEnv(field("env")),
    cpu: field("cpu").isAbsent ? now.cpu : readAmount(field("cpu"), coresOf, 'cores, such as 0.5 or "500m"'),
    memory: field("memory").isAbsent
      ? now.memory
      : readAmount(field("memory"), mebibytesOf, 'a size such as "2Gi", or a number of mebibytes'),
    minInstances,
    maxInstances,
  };
}

function readEnv(place: Reader): { [name: string]: string } {
  const entries = place.entries(VARIABLES_MAX).map(([name, value]) => {
    const problem = runnerVariableProblem(name);
    if (problem) value.fail(problem);
    return [name, value.string(variableValueProblem)] as const;
  });
  return Object.fromEntries(entries);
}

/** What an operator may tune of a runner through its environment, of the names that are Maia's own. */
const TUNABLE = new Set([
  "MAIA_RUNNER_SLOTS",
  "MAIA_RUNNER_DATA_DIR",
  "MAIA_RUNNER_CPU_MARK",
  "MAIA_RUNNER_MEMORY_MARK",
  "MAIA_RUNNER_DISK_MIN",
  "MAIA_RUNNER_KEEP_DIR",
  "MAIA_URL_DNS",
  "MAIA_DRAIN_LIMIT_MS",
  "MAIA_ISOLATION",
  "MAIA_DEPS_INSTALL_MS",
  "MAIA_DEPS_CACHE_MAX",
  "MAIA_NPM_REGISTRY",
  "MAIA_PYTHON_INDEX",
  "MAIA_URL_ALLOW",
  "MAIA_TRUST_PROXY",
  "MAIA_LOG_LEVEL",
  "MAIA_LOG_FORMAT",
]);

/** What is wrong with the name of a variable that a runner's instances are to be started with, or null. */
export function runnerVariableProblem(name: string): string | null {
  return TUNABLE.has(name) ? null : variableNameProblem(name);
}

function runnerNameProblem(text: string): string | null {
  if (/^rnr_/.test(text)) return "must not begin with rnr_, which ids do";
  return addressNameProblem(text, RUNNER_NAME_MAX);
}

function descriptionProblem(text: string): string | null {
  return textProblem(text, RUNNER_DESCRIPTION_MAX);
}

function imageProblem(text: string): string | null {
  if (text.length > IMAGE_MAX) return `must have at most ${IMAGE_MAX} characters`;
  return /^[A-Za-z0-9][\w.:/@-]*$/.test(text)
    ? null
    : "must be the name of a container image, such as registry/name:tag";
}

function readAmount(
  place: Reader,
  amountOf: (value: number | string) => number | null,
  what: string,
): number | string | null {
  const { value } = place;
  if (value === null) return null;
  if ((typeof value === "number" || typeof value === "string") && amountOf(value) !== null) return value;
  place.fail(`must be ${what}, got ${show(value)}`);
  return null;
}

const CORES_MAX = 1_024;
const MEBIBYTES_MAX = 64 * 1_024 * 1_024;

/** How many cores an amount means; null: it is none. */
export function coresOf(cpu: number | string): number | null {
  const [, digits, milli] = /^(\d{1,7}(?:\.\d{1,3})?)(m?)$/.exec(String(cpu)) ?? [];
  const cores = Number(digits) / (milli ? 1_000 : 1);
  return cores > 0 && cores <= CORES_MAX ? cores : null;
}

const units: Readonly<Record<string, number>> = { k: 1 / 1_024, m: 1, g: 1_024, t: 1_024 * 1_024 };

/** How many mebibytes an amount means; null: it is none. */
export function mebibytesOf(memory: number | string): number | null {
  const [, digits, unit = "m"] = /^(\d{1,12}(?:\.\d{1,3})?) ?([kmgt])?(?:i?b?)$/i.exec(String(memory)) ?? [];
  const mebibytes = Number(digits) * units[unit.toLowerCase()]!;
  return mebibytes >= 1 && mebibytes <= MEBIBYTES_MAX ? mebibytes : null;
}
