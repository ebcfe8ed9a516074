export * from "./blob-store.js";
export * from "./data-dir.js";
