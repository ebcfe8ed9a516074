export * from "./build-task.js";
export * from "./input-text.js";
export * from "./snapshots.js";
