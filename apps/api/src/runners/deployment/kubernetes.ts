import { type Deployment, SECRET, STARTED_AGAIN, STOP_SECONDS, type Subject, withDataDir } from "./subject.js";

/** JSON is YAML, and quotes whatever needs it. */
const quoted = (text: string) => JSON.stringify(text);
/** In the value of a variable Kubernetes takes $(NAME) for another variable; a second $ keeps it as it stands. */
const quotedValue = (text: string) => quoted(text.replaceAll("$(", () => "$$("));

/** A secret and a Deployment. An instance whose pod goes comes back as a new one, so an emptyDir is all that it needs. */
export function manifests(subject: Subject): Deployment {
  const { slug } = subject;
  return {
    files: [{ path: `${slug}.yaml`, content: `${secret(subject)}---\n${deployment(subject)}` }],
    commands: [`kubectl apply --filename ${slug}.yaml`, `kubectl rollout status deployment/${slug}`],
    notes: ["The grace period lets steps finish for up to 12 hours before a pod is killed.", STARTED_AGAIN],
  };
}

/** The same for Google Kubernetes Engine. */
export function gke(subject: Subject): Deployment {
  const { files, commands, notes } = manifests(subject);
  return { files, commands: ["gcloud container clusters get-credentials CLUSTER --region REGION", ...commands], notes };
}

/** Values for a chart that runs a Deployment; `helm template` shows what becomes of them. */
export function helm(subject: Subject): Deployment {
  const { slug, image, env, instances } = subject;
  const values = `fullnameOverride: ${slug}
replicaCount: ${instances}
image: ${quoted(image)}
args: ["maia", "runner"]
terminationGracePeriodSeconds: ${STOP_SECONDS}
existingSecret: ${slug}
${resources(subject, "")}
env:
${env.map(([name, value]) => `  ${name}: ${quotedValue(value)}`).join("\n")}
`;
  return {
    files: [
      { path: `${slug}-secret.yaml`, content: secret(subject) },
      { path: `${slug}-values.yaml`, content: values },
    ],
    commands: [
      `kubectl apply --filename ${slug}-secret.yaml`,
      `helm upgrade --install ${slug} CHART --values ${slug}-values.yaml`,
    ],
    notes: [
      "CHART is your chart for a Deployment. Without one, make the runner with the deployment `manifests`.",
      STARTED_AGAIN,
    ],
  };
}

function secret({ slug }: Subject): string {
  return `apiVersion: v1
kind: Secret
metadata:
  name: ${slug}
stringData:
  MAIA_CLIENT_SECRET: ${SECRET}
`;
}

function resources({ cores, mebibytes }: Subject, indent: string): string {
  const amounts = `{ cpu: ${Math.round(cores * 1_000)}m, memory: ${Math.ceil(mebibytes)}Mi }`;
  return `${indent}resources:\n${indent}  requests: ${amounts}\n${indent}  limits: ${amounts}`;
}

function deployment(subject: Subject): string {
  const { slug, image, env, instances } = subject;
  const variables = withDataDir(env, "/var/lib/maia")
    .map(([name, value]) => `            - { name: ${name}, value: ${quotedValue(value)} }`)
    .join("\n");
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${slug}
spec:
  replicas: ${instances}
  selector:
    matchLabels: { app: ${slug} }
  template:
    metadata:
      labels: { app: ${slug} }
    spec:
      terminationGracePeriodSeconds: ${STOP_SECONDS}
      containers:
        - name: runner
          image: ${quoted(image)}
          args: ["maia", "runner"]
          envFrom:
            - secretRef: { name: ${slug} }
          env:
${variables}
${resources(subject, "          ")}
          volumeMounts:
            - { name: data, mountPath: /var/lib/maia }
      volumes:
        - name: data
          emptyDir: {}
`;
}
