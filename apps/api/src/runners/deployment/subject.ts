/** What a deployment is written for. */
export interface Subject {
  /** The runner's name, as file names and resources can have it. */
  readonly slug: string;
  readonly name: string;
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

/** How long a stopping instance lets its steps finish, in seconds. Source: `DRAIN_LIMIT_MS`. */
export const DRAIN_SECONDS = 43_200;

/** A name that every platform takes for a resource: a-z 0-9 -, beginning with a letter. */
export function slugOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `maia-runner-${plain || "one"}`;
}

/** A word as a POSIX shell takes it. */
export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A file of variables as Docker and systemd read it: a line each, so values with line breaks cannot be in it. */
export function envFile({ env }: Subject): string {
  const lines = env.filter(([, value]) => !/[\r\n]/.test(value)).map(([name, value]) => `${name}=${value}`);
  return `${[...lines, `MAIA_CLIENT_SECRET=${SECRET}`].join("\n")}\n`;
}
