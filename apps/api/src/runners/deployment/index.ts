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

/** What a runner's instances have where nobody says: these amounts go together on every platform. */
const CORES = 1;
const MEBIBYTES_PER_CORE = 2_048;

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
  const cores = (config.cpu === null ? null : coresOf(config.cpu)) ?? CORES;
  const written = writers[deployment]({
    slug: slugOf({ name, runnerId }),
    name,
    runnerId,
    image,
    env: [["MAIA_GATEWAY_URL", gatewayUrl], ["MAIA_CLIENT_ID", runnerId], ...Object.entries(config.env)],
    cores,
    mebibytes: (config.memory === null ? null : mebibytesOf(config.memory)) ?? cores * MEBIBYTES_PER_CORE,
    instances: config.minInstances,
  });
  return { ...written, notes: [...written.notes, ...notesAbout(new URL(gatewayUrl), deployment)], image };
}

/** What is to be known of an address that not every runner reaches, or dials. */
function notesAbout({ hostname, protocol }: URL, deployment: RunnerDeployment): string[] {
  const isHere = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
  if (isHere && deployment !== "process" && deployment !== "systemd")
    return [
      "MAIA_GATEWAY_URL is an address that only Maia's own host reaches: set MAIA_PUBLIC_URL of the API, and ask again.",
    ];
  if (protocol === "http:" && !isHere)
    return [
      "The runner dials http:// only with MAIA_TRUST_PROXY=1, which says that something else on the way encrypts.",
    ];
  return [];
}
