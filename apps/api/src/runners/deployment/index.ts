import { coresOf, mebibytesOf, type RunnerDefinition, type RunnerDeployment } from "@maia/domain";
import { aci, containerApp, fargate } from "./clouds.js";
import { gke, helm, manifests } from "./kubernetes.js";
import { docker, plainProcess, systemd } from "./self-managed.js";
import { type Deployment, type Subject, slugOf } from "./subject.js";

export type { Deployment } from "./subject.js";

/** How each deployment is written. Snowflake's is a specification of its own, under `infra/`. */
const writers: Readonly<Record<Exclude<RunnerDeployment, "native_app">, (subject: Subject) => Deployment>> = {
  fargate,
  container_app: containerApp,
  aci,
  gke,
  helm,
  manifests,
  docker,
  systemd,
  process: plainProcess,
};

/** What a runner's instances have where nobody says. */
const CORES = 1;
const MEBIBYTES = 2_048;

export interface DeploymentContext {
  readonly runnerId: string;
  readonly gatewayUrl: string;
  /** The image of the newest release on its track, if there is one. */
  readonly releasedImage: string | null;
}

/** How to deploy a runner, and the image that this is about. Null: there is no template for it. */
export function deploymentOf(
  { name, deployment, track, config }: RunnerDefinition,
  { runnerId, gatewayUrl, releasedImage }: DeploymentContext,
): (Deployment & { readonly image: string }) | null {
  if (deployment === null || deployment === "native_app") return null;
  const image = config.image ?? releasedImage ?? `REGISTRY/maia-runner:${track}`;
  const written = writers[deployment]({
    slug: slugOf(name),
    name,
    image,
    env: [["MAIA_GATEWAY_URL", gatewayUrl], ["MAIA_CLIENT_ID", runnerId], ...Object.entries(config.env)],
    cores: (config.cpu === null ? null : coresOf(config.cpu)) ?? CORES,
    mebibytes: (config.memory === null ? null : mebibytesOf(config.memory)) ?? MEBIBYTES,
    instances: config.minInstances,
  });
  return { ...written, image };
}
