import { type ApiConfig, readConfig as readApiConfig } from "@maia/api";
import { type EngineConfig, readConfig as readEngineConfig } from "@maia/engine";
import type { Env } from "@maia/service";
import { readStoresConfig, type StoresConfig } from "@maia/stores";
import { type PoolConfig, readPool } from "./pool/pool-config.js";

export interface StandaloneConfig extends StoresConfig {
  readonly api: ApiConfig;
  readonly engine: EngineConfig;
  /** The hosted runner's own processes; null: the engine does its work. */
  readonly pool: PoolConfig | null;
}

/** Reads the settings of both parts. @throws {ConfigError} naming the variable. */
export function readConfig(env: Env): StandaloneConfig {
  return { ...readStoresConfig(env), api: readApiConfig(env), engine: readEngineConfig(env), pool: readPool(env) };
}
