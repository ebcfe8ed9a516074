/** What a deployment is written for. */
export interface Subject {
  /** The runner's name, as file names and resources can have it. */
  readonly slug: string;
  readonly name: string;
  readonly runnerId: string;
  readonly image: string;
  /** All that is no secret. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly cores: number;
  readonly mebibytes: number;
  readonly instances: number;
}

/** How to deploy a runner: files to write, then commands to give. */
export interface Deployment {
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly commands: readonly string[];
  readonly notes: readonly string[];
}

/** What stands where the secret belongs, which no template holds. */
export const SECRET = "PUT_THE_CLIENT_SECRET_HERE";

/**
 * How long an instance may take to stop, in seconds: what it lets its steps have (`DRAIN_LIMIT_MS`), and a minute to end what
 * is left then and to report it.
 */
export const STOP_SECONDS = 43_200 + 60;

/** Said of platforms that look after a number of instances, and not after how one has ended. */
export const STARTED_AGAIN =
  "An instance is started again however it ends, after STOP too: to keep the runner stopped, scale it to 0.";

/**
 * A name that every platform takes for a resource: a-z 0-9 -, beginning with a letter, at most `maxLength`. What was left
 * out of the runner's name is made up for by the end of its id, since two runners must not replace each other.
 */
export function slugOf({ name, runnerId }: { name: string; runnerId: string }, maxLength = 63): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const whole = `maia-runner-${plain}`;
  if (plain === name && whole.length <= maxLength) return whole;
  const end = `-${runnerId.slice(-6)}`;
  return whole.slice(0, maxLength - end.length).replace(/-+$/, "") + end;
}

/** A word as a POSIX shell takes it. */
export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

type Variables = Subject["env"];

/** The variables with a data directory, unless the operator has chosen another. */
export function withDataDir(env: Variables, path: string): Variables {
  const name = "MAIA_RUNNER_DATA_DIR";
  return env.some(([own]) => own === name) ? env : [...env, [name, path]];
}

const SECRET_LINE = `MAIA_CLIENT_SECRET=${SECRET}`;
const hasLineBreak = (value: string) => /[\r\n]/.test(value);

/** A file of variables as Docker reads it: what follows the sign is the value as it stands, up to the end of the line. */
export function dockerEnvFile(env: Variables): string {
  const lines = env.filter(([, value]) => !hasLineBreak(value)).map(([name, value]) => `${name}=${value}`);
  return `${[...lines, SECRET_LINE].join("\n")}\n`;
}

/** What a file for Docker cannot hold, for its reader to know. */
export function leftOutOf(env: Variables): string[] {
  const names = env.filter(([, value]) => hasLineBreak(value)).map(([name]) => name);
  return names.length === 0
    ? []
    : [`Values with line breaks have no place in the file: give ${names.join(", ")} with --env.`];
}

/** A file of variables as systemd reads it, quoted where it would read something else. Source: systemd.exec(5), EnvironmentFile. */
export function systemdEnvFile(env: Variables): string {
  const lines = env.map(
    ([name, value]) => `${name}=${/^[\w@%+=:,./-]*$/.test(value) ? value : quotedForSystemd(value)}`,
  );
  return `${[...lines, SECRET_LINE].join("\n")}\n`;
}

function quotedForSystemd(value: string): string {
  return `"${value.replace(/["\\`$]/g, "\\$&")}"`;
}
