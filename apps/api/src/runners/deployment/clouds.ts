import { type Deployment, SECRET, STARTED_AGAIN, type Subject, shell, slugOf, withDataDir } from "./subject.js";

/** What Fargate lets a container have after it was told to stop, in seconds. */
const FARGATE_STOP_SECONDS = 120;
const FARGATE_NOTE =
  "Fargate kills a container 120 s after it was told to stop: PAUSE the runner and wait for PAUSED before you replace its tasks.";

/** The sizes of a task, in units of 1/1024 core and in MiB. Source: AWS, "Task CPU and memory" for Fargate. */
const fargateSizes = [
  { units: 256, memory: [512, 1_024, 2_048] },
  { units: 512, memory: steps(1_024, 4_096, 1_024) },
  { units: 1_024, memory: steps(2_048, 8_192, 1_024) },
  { units: 2_048, memory: steps(4_096, 16_384, 1_024) },
  { units: 4_096, memory: steps(8_192, 30_720, 1_024) },
  { units: 8_192, memory: steps(16_384, 61_440, 4_096) },
  { units: 16_384, memory: steps(32_768, 122_880, 8_192) },
];

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: (to - from) / by + 1 }, (_, index) => from + index * by);
}

/** The smallest size of a task that has as much; the largest where none has. */
function fargateSize(cores: number, mebibytes: number): { readonly units: number; readonly mebibytes: number } {
  for (const { units, memory } of fargateSizes) {
    const enough = memory.find((size) => size >= mebibytes);
    if (units >= cores * 1_024 && enough !== undefined) return { units, mebibytes: enough };
  }
  const { units, memory } = fargateSizes.at(-1)!;
  return { units, mebibytes: memory.at(-1)! };
}

/** A service of ECS on Fargate. */
export function fargate({ slug, image, env, cores, mebibytes, instances }: Subject): Deployment {
  const size = fargateSize(cores, mebibytes);
  const definition = {
    family: slug,
    requiresCompatibilities: ["FARGATE"],
    networkMode: "awsvpc",
    cpu: String(size.units),
    memory: String(size.mebibytes),
    executionRoleArn: "EXECUTION_ROLE_ARN",
    containerDefinitions: [
      {
        name: "runner",
        image,
        command: ["maia", "runner"],
        stopTimeout: FARGATE_STOP_SECONDS,
        environment: withDataDir(env, "/var/lib/maia").map(([name, value]) => ({ name, value })),
        secrets: [{ name: "MAIA_CLIENT_SECRET", valueFrom: "SECRET_ARN" }],
      },
    ],
  };
  return {
    files: [{ path: `${slug}.json`, content: `${JSON.stringify(definition, null, 2)}\n` }],
    commands: [
      `aws secretsmanager create-secret --name ${slug} --secret-string ${SECRET}`,
      `aws ecs register-task-definition --cli-input-json file://${slug}.json`,
      `aws ecs create-service --cluster CLUSTER --service-name ${slug} --task-definition ${slug} --desired-count ${instances} --launch-type FARGATE --network-configuration 'awsvpcConfiguration={subnets=[SUBNET],securityGroups=[GROUP],assignPublicIp=DISABLED}'`,
    ],
    notes: [
      "EXECUTION_ROLE_ARN may read SECRET_ARN. The runner only sends requests: its group needs no way in.",
      FARGATE_NOTE,
      STARTED_AGAIN,
    ],
  };
}

/** Longest name of a container app. */
const CONTAINER_APP_NAME_MAX = 32;

/** A container app of Azure. */
export function containerApp(subject: Subject): Deployment {
  const { image, env, cores, mebibytes, instances } = subject;
  const name = slugOf(subject, CONTAINER_APP_NAME_MAX);
  const variables = env.map(([key, value]) => shell(`${key}=${value}`)).join(" ");
  return {
    files: [],
    commands: [
      `az containerapp create --resource-group GROUP --environment ENVIRONMENT --name ${name} --image ${shell(image)} --args maia runner --cpu ${cores} --memory ${gibibytes(mebibytes)}Gi --min-replicas ${Math.max(1, instances)} --max-replicas ${Math.max(1, instances)} --secrets client-secret=${SECRET} --env-vars ${variables} MAIA_CLIENT_SECRET=secretref:client-secret`,
    ],
    notes: ["Without an ingress, nothing can reach the runner; it only sends requests.", STARTED_AGAIN],
  };
}

/** Container groups of Azure Container Instances: one for each instance. */
export function aci({ slug, image, env, cores, mebibytes, instances }: Subject): Deployment {
  const variables = env.map(([key, value]) => shell(`${key}=${value}`)).join(" ");
  const commands = Array.from(
    { length: Math.min(Math.max(1, instances), 10) },
    (_, index) =>
      `az container create --resource-group GROUP --name ${slug}-${index + 1} --image ${shell(image)} --command-line "maia runner" --cpu ${cores} --memory ${gibibytes(mebibytes)} --os-type Linux --restart-policy OnFailure --environment-variables ${variables} --secure-environment-variables MAIA_CLIENT_SECRET=${SECRET}`,
  );
  return { files: [], commands, notes: ["The runner only sends requests: the group needs no address and no ports."] };
}

function gibibytes(mebibytes: number): string {
  return (mebibytes / 1_024).toFixed(1);
}
