export * from "./blob-store.js";
export * from "./data-dir.js";
export * from "./put-patiently.js";
export * from "./sniff.js";
