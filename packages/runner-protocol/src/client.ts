export * from "./client/problems.js";
export * from "./client/runner-client.js";
