/** The environment of the helper: only where to look for interpreters. */
export function helperEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin" };
}
