/** Largest blob, in bytes: what the largest artifact may have. */
export const BLOB_MAX_BYTES = 10 * 1024 ** 3;

/** True for a host that is this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
