export * from "./constants.js";
export * from "./env.js";
export * from "./logger.js";
export * from "./resources.js";
export * from "./run-service.js";
