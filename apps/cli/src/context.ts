import type { ApiClient } from "./api-client.js";
import { type ConnectionFlags, type Env, readConnection } from "./config.js";
import type { Terminal } from "./output/terminal.js";
import { ownVersion } from "./version.js";

/** Flags that every command takes. */
export interface CommonFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly env: Env;
  readonly terminal: Terminal;
  readonly clock: () => Date;
}

/** A client for the Maia that flags and environment name. Loaded only now, since most of a start would be spent on it. */
export async function connect({ env }: Context, flags: CommonFlags): Promise<ApiClient> {
  const { ApiClient } = await import("./api-client.js");
  return new ApiClient(readConnection(env, flags), ownVersion());
}

/** Prints a value as JSON: the one document that `--json` promises. */
export function printJson({ terminal }: Context, value: unknown): void {
  terminal.print(JSON.stringify(value, null, 2));
}
