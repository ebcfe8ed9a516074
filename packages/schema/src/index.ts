export * from "./schema-worker.js";
