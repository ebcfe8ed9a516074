export * from "./land.js";
export * from "./own-lines.js";
export * from "./record-frames.js";
