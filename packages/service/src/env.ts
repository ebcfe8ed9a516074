/** The environment that a service was started with. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A setting that cannot be used. The message names the variable and what to do about it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** The text of a variable, or null where it is unset or empty. */
export function readOptional(env: Env, name: string): string | null {
  const text = env[name]?.trim();
  return text ? text : null;
}

/** The text of a variable, or the fallback where it is unset or empty. */
export function readString(env: Env, name: string, fallback: string): string {
  return readOptional(env, name) ?? fallback;
}

/**
 * A plain non-negative integer.
 * @throws {ConfigError} on anything else, such as `1e3`, `-1`, `10s`.
 */
export function readInteger(env: Env, name: string, fallback: number): number {
  const text = readOptional(env, name);
  if (text === null) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new ConfigError(`${name} is "${text}", but must be a plain non-negative integer such as ${fallback}`);
}

/** A TCP port; 0 means any free one. @throws {ConfigError} above 65535. */
export function readPort(env: Env, name: string, fallback: number): number {
  const port = readInteger(env, name, fallback);
  if (port <= 65_535) return port;
  throw new ConfigError(`${name} is ${port}, but a port is at most 65535`);
}

/** One of the named values. @throws {ConfigError} listing them. */
export function readEnum<const T extends string>(
  env: Env,
  name: string,
  values: readonly T[],
  fallback: NoInfer<T>,
): T {
  const text = readString(env, name, fallback);
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return value;
  throw new ConfigError(`${name} is "${text}", but must be one of ${values.join(", ")}`);
}

/** A switch: `1`/`true`/`yes` or `0`/`false`/`no`. @throws {ConfigError} on anything else. */
export function readFlag(env: Env, name: string, fallback = false): boolean {
  const text = readOptional(env, name)?.toLowerCase();
  if (text === undefined) return fallback;
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  throw new ConfigError(`${name} is "${text}", but must be true or false`);
}

/** A URL of one of the schemes (`http:` and `https:` unless told), or null where it is unset. @throws {ConfigError} */
export function readUrl(env: Env, name: string, schemes: readonly string[] = ["http:", "https:"]): URL | null {
  const text = readOptional(env, name);
  if (text === null) return null;
  const url = URL.parse(text);
  if (url && schemes.includes(url.protocol)) return url;
  const wanted = schemes.map((scheme) => `${scheme}//`).join(" or ");
  throw new ConfigError(`${name} is "${text}", but must be a URL that begins with ${wanted}`);
}
