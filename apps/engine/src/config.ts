import { readSecretKeys, type SecretKey } from "@maia/secrets";
import { ConfigError, type Constants, type Env, readConstants, readInteger, readUrl } from "@maia/service";

export interface EngineConfig {
  readonly constants: Constants;
  /** How strongly a step is shut in when the engine runs it itself. */
  readonly isolation: "auto" | "sandbox" | "pid-namespace" | "process-group";
  /** The runner that the engine dials; null: it runs steps itself. */
  readonly runner: { readonly url: string; readonly token: string } | null;
  /** True: runners of a pool do the hosted runner's work, and this engine none of it. */
  readonly hasPool: boolean;
  /** Where packages come from; null: the machine's own settings say so. */
  readonly packages: { readonly npmRegistry: string | null; readonly pythonIndex: string | null };
  /** What secrets are encrypted with; null: the key in the data directory. */
  readonly secretKeys: readonly SecretKey[] | null;
  /** Raw text of MAIA_URL_ALLOW. */
  readonly urlAllow: string;
  /** Raw text of MAIA_URL_DNS. */
  readonly urlDns: string;
  /** How long a stopping engine lets its own steps finish, in milliseconds. */
  readonly drainMs: number;
}

const ISOLATIONS = ["auto", "sandbox", "pid-namespace", "process-group"] as const;
const MIN_TOKEN = 32;

export function readConfig(env: Env): EngineConfig {
  const isolation = ISOLATIONS.find((level) => level === (env.MAIA_ISOLATION || "auto"));
  if (!isolation)
    throw new ConfigError(`MAIA_ISOLATION is "${env.MAIA_ISOLATION}"; use one of ${ISOLATIONS.join(", ")}`);
  const constants = readConstants(env);
  // Whoever stops a laptop's Maia does not wait for hours, unless they say so; an operator of long steps does.
  const drainMs = env.MAIA_DRAIN_LIMIT_MS ? constants.drainLimitMs : constants.cancelGraceMs;
  const packages = {
    npmRegistry: readUrl(env, "MAIA_NPM_REGISTRY")?.href ?? null,
    pythonIndex: readUrl(env, "MAIA_PYTHON_INDEX", ["http:", "https:", "file:"])?.href ?? null,
  };
  const secretKeys = readSecretKeys(env);
  const [urlAllow, urlDns] = [env.MAIA_URL_ALLOW ?? "", env.MAIA_URL_DNS ?? ""];
  const runner = readRunner(env);
  const hasPool = readInteger(env, "MAIA_HOSTED_POOL", 0) > 0;
  if (runner && hasPool)
    throw new ConfigError(
      "RUNNER_URL and MAIA_HOSTED_POOL are both set, and each says who does the work; set one of them",
    );
  return { constants, isolation, packages, runner, hasPool, secretKeys, urlAllow, urlDns, drainMs };
}

function readRunner(env: Env): EngineConfig["runner"] {
  const url = env.RUNNER_URL || null;
  const token = env.RUNNER_TOKEN || null;
  if (!url && !token) return null;
  if (!url) throw new ConfigError("RUNNER_TOKEN is set but RUNNER_URL is not; set both or neither");
  if (!token) throw new ConfigError("RUNNER_URL is set but RUNNER_TOKEN is not; set both or neither");
  if (token.length < MIN_TOKEN)
    throw new ConfigError(`RUNNER_TOKEN has ${token.length} characters; it needs at least ${MIN_TOKEN}`);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new ConfigError(`RUNNER_URL is "${url}"; it needs an http: or https: address`);
  }
  return { url, token };
}
