export { readConfig, type StandaloneConfig } from "./config.js";
export { type RunningMaia, start } from "./start.js";
