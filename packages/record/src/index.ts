export * from "./record-frames.js";
