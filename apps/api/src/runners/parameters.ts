import type { RunnerRow } from "@maia/db";
import type { RunnerPlatform } from "@maia/domain";

/** A setting of a runner's process. */
export interface Parameter {
  readonly name: string;
  readonly needed: boolean;
  readonly meaning: string;
  /** Null: there is none. */
  readonly default: string | null;
  /** What it is for this runner, where that is known and no secret. */
  readonly value: string | null;
  /** Where it is set on the runner's platform. */
  readonly where: string;
}

/** Where variables and secrets are set, by platform. */
const where: Readonly<Record<Exclude<RunnerPlatform, "hosted">, { readonly plain: string; readonly secret: string }>> =
  {
    aws: {
      plain: "the container's environment in the ECS task definition",
      secret: "a secret in AWS Secrets Manager, named under secrets in the task definition",
    },
    azure: {
      plain: "the container's environment variables",
      secret: "a secret of the container app, or a secure environment variable of the container group",
    },
    gcp: { plain: "env of the container in the Deployment", secret: "a Kubernetes secret, named under envFrom" },
    snowflake: {
      plain: "env of the container in the service specification",
      secret: "a Snowflake secret, named under secrets in the service specification",
    },
    kubernetes: { plain: "env of the container in the Deployment", secret: "a Kubernetes secret, named under envFrom" },
    self_managed: {
      plain: "the environment file of the container or unit, or the shell that starts the process",
      secret: "the same, in a file that only the runner's user can read (mode 0600)",
    },
  };

const MACHINE = "the machine's own setting";

/** Source: docs/guides/runners.md, "Settings". */
const optional: readonly (readonly [name: string, meaning: string, fallback: string | null])[] = [
  ["MAIA_RUNNER_SLOTS", "How many steps an instance runs at once", "4 for each core"],
  [
    "MAIA_RUNNER_DATA_DIR",
    "Ledger, spool, blobs and installed packages; on a disk that survives restarts",
    ".maia/runner",
  ],
  [
    "MAIA_RUNNER_KEEP_DIR",
    "The store for data that is not to leave the runner; a volume that its instances may share",
    ".maia/runner/kept",
  ],
  [
    "MAIA_RUNNER_CPU_MARK",
    "Above this use of its processors, in percent, an instance asks for no task; 100: no mark",
    "80",
  ],
  ["MAIA_RUNNER_MEMORY_MARK", "The same for memory", "90"],
  [
    "MAIA_RUNNER_DISK_MIN",
    "With fewer bytes free on the disk of its data directory it asks for no task; 0: no mark",
    "67108864",
  ],
  ["MAIA_DRAIN_LIMIT_MS", "How long a stopping instance lets its steps finish", "43200000"],
  ["MAIA_ISOLATION", "How steps are kept apart: auto, sandbox, pid-namespace or process-group", "auto"],
  ["MAIA_URL_ALLOW", "Hosts that tests of connections and downloads may reach although they are not public", null],
  ["MAIA_URL_DNS", "DNS servers that URLs of downloads are looked up at", MACHINE],
  ["MAIA_NPM_REGISTRY", "Where npm packages come from", MACHINE],
  ["MAIA_PYTHON_INDEX", "Where Python libraries come from", MACHINE],
  ["MAIA_DEPS_INSTALL_MS", "How long an installation of packages may take", "600000"],
  ["MAIA_DEPS_CACHE_MAX", "Bytes of installed packages before those unused longest go", "10737418240"],
  ["PROXY_HTTP", "The proxy for a gateway with http://: host:port; with a user and a password, as a secret", null],
  ["PROXY_HTTPS", "The proxy for a gateway with https://", null],
  ["PROXY_EXCLUDES", "Hosts that are reached without it, divided by a bar: localhost|*.internal", null],
  ["CUSTOM_CERT_LOCATION", "A file with certificates of authorities to trust besides the usual ones", null],
  ["MAIA_TRUST_PROXY", "1 where the gateway has http:// and something else on the way encrypts", null],
  ["MAIA_LOG_LEVEL", "error, warn, info or debug", "info"],
  ["MAIA_LOG_FORMAT", "json or pretty", "json"],
];

/** What an instance of a runner is told in its environment: what it needs first, then what it can be told besides. */
export function parametersOf(
  runner: Pick<RunnerRow, "id" | "platform">,
  env: { readonly [name: string]: string },
  gatewayUrl: string,
): Parameter[] {
  const { plain, secret } = where[runner.platform as keyof typeof where];
  const needed = { needed: true, default: null } as const;
  return [
    {
      ...needed,
      name: "MAIA_GATEWAY_URL",
      meaning: "Where Maia is, as the runner reaches it",
      value: gatewayUrl,
      where: plain,
    },
    { ...needed, name: "MAIA_CLIENT_ID", meaning: "Which runner it is", value: runner.id, where: plain },
    {
      ...needed,
      name: "MAIA_CLIENT_SECRET",
      meaning: "Proves it; see the runner's credentials",
      value: null,
      where: secret,
    },
    ...optional.map(([name, meaning, fallback]) => {
      const value = Object.hasOwn(env, name) ? env[name]! : null;
      return { name, needed: false, meaning, default: fallback, value, where: plain };
    }),
  ];
}
