export const UNKNOWN_MIME = "application/octet-stream";

const TEXT =
  /^text\/|[+/](json|xml|yaml|toml|csv|x-ndjson|ndjson|jsonl|javascript|ecmascript|sql|x-sh|graphql|x-yaml)$/;
const ZIPPED =
  /^application\/(zip|x-zip-compressed|java-archive|vnd\.(openxmlformats-officedocument|oasis\.opendocument)\..+|.+\+zip)$/;
const OLE = /^application\/(x-cfb|msword|vnd\.ms-.+|vnd\.visio)$/;

/** Types whose bytes look alike, so that only a name or a sender can tell them apart. */
type Family = "text" | "zip" | "ole" | "unknown";

function familyOf(mime: string): Family | null {
  if (mime === UNKNOWN_MIME) return "unknown";
  if (TEXT.test(mime)) return "text";
  if (ZIPPED.test(mime)) return "zip";
  return OLE.test(mime) ? "ole" : null;
}

/**
 * The media type of bytes: what they look like, made more precise by the first claim that is compatible with that. A claim
 * that contradicts the bytes is not believed. `text/plain` and `application/octet-stream` say how bytes of no known format
 * look: readable or not.
 */
export function refineMime(looksLike: string, claims: readonly (string | null)[]): string {
  const family = familyOf(looksLike);
  if (family === null) return looksLike;
  for (const claim of claims) {
    const [essence = ""] = (claim ?? "").split(";");
    const type = essence.trim().toLowerCase();
    if (type && type !== UNKNOWN_MIME && fits(type, family)) return type;
  }
  return looksLike;
}

function fits(claim: string, family: Family): boolean {
  // Of bytes that nothing is known about, only formats that could not have been recognised may be claimed.
  if (family === "unknown")
    return familyOf(claim) === null && !/^(image|audio|video|font)\//.test(claim) && !RECOGNISED.has(claim);
  return familyOf(claim) === family;
}

/** Formats of other kinds that carry their mark in their first bytes. */
const RECOGNISED = new Set([
  "application/pdf",
  "application/gzip",
  "application/x-gzip",
  "application/x-bzip2",
  "application/x-7z-compressed",
  "application/vnd.rar",
  "application/x-tar",
  "application/vnd.sqlite3",
  "application/x-sqlite3",
  "application/vnd.apache.parquet",
  "application/wasm",
]);
