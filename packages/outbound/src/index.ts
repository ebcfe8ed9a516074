export type { DownloadLimits } from "./ask.js";
export * from "./download.js";
export { DownloadError } from "./download-error.js";
export { checkUrl } from "./guard.js";
export { parseDns, type Resolve } from "./resolve.js";
export * from "./test-connection.js";
export { allowNothing, parseUrlAllow, type UrlAllow } from "./url-allow.js";
