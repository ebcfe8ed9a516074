import { type ApiConfig, readConfig as readApiConfig } from "@maia/api";
import { type EngineConfig, readConfig as readEngineConfig } from "@maia/engine";
import type { Env } from "@maia/service";
import { readStoresConfig, type StoresConfig } from "@maia/stores";

export interface StandaloneConfig extends StoresConfig {
  readonly api: ApiConfig;
  readonly engine: EngineConfig;
}

/** Reads the settings of both parts. @throws {ConfigError} naming the variable. */
export function readConfig(env: Env): StandaloneConfig {
  return { ...readStoresConfig(env), api: readApiConfig(env), engine: readEngineConfig(env) };
}
