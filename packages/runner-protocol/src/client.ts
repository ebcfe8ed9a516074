export * from "./client/gateway-client.js";
export * from "./client/gateway-problems.js";
export * from "./client/problems.js";
export * from "./client/runner-client.js";
