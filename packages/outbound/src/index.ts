export * from "./download.js";
export { checkUrl, type Resolve } from "./guard.js";
export * from "./test-connection.js";
export { allowNothing, parseUrlAllow, type UrlAllow } from "./url-allow.js";
