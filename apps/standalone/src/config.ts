import { type ApiConfig, readConfig as readApiConfig } from "@maia/api";
import { type EngineConfig, readConfig as readEngineConfig } from "@maia/engine";
import { type Env, readOptional, readString } from "@maia/service";

export interface StandaloneConfig {
  /** Folder of the database, the blobs and all else. */
  readonly dataDir: string;
  /** Where the database is, when it is not in that folder. */
  readonly databaseUrl: string | null;
  readonly api: ApiConfig;
  readonly engine: EngineConfig;
}

/** Reads the settings of both parts. @throws {ConfigError} naming the variable. */
export function readConfig(env: Env): StandaloneConfig {
  return {
    dataDir: readString(env, "MAIA_DATA_DIR", ".maia"),
    databaseUrl: readOptional(env, "DATABASE_URL"),
    api: readApiConfig(env),
    engine: readEngineConfig(env),
  };
}
