export * from "./blob-store.js";
export * from "./data-dir.js";
export { isDiskFull } from "./files.js";
export { makeFolder } from "./make-folder.js";
export * from "./put-patiently.js";
export * from "./sniff.js";
export type { Appended, UploadName, UploadPart } from "./uploads.js";
