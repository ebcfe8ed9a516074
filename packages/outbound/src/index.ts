export type { DownloadLimits } from "./ask.js";
export * from "./download.js";
export { DownloadError } from "./download-error.js";
export { checkUrl, type Resolve } from "./guard.js";
export * from "./test-connection.js";
export { allowNothing, parseUrlAllow, type UrlAllow } from "./url-allow.js";
