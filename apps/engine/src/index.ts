export { type EngineConfig, readConfig } from "./config.js";
export { Engine, type EngineDeps } from "./engine.js";
export { type RunningEngine, type StartDeps, start } from "./start.js";
