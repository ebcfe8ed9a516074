/** The environment that says where this machine's packages come from. */
export function machineEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** The environment of the helper: only where to look for interpreters. */
export function helperEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin" };
}
