export { readConfig, type StandaloneConfig } from "./config.js";
export { rollOnHangup } from "./roll-on-hangup.js";
export { type RunningMaia, start } from "./start.js";
