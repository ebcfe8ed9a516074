export { type DirectCarrierConfig, type RunnerConfig, readConfig } from "./config.js";
export { KILL_WAIT_MS, type RunnerDeps, type RunningRunner, start } from "./start.js";
