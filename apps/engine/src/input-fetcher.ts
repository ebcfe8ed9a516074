import { download, parseDns, parseUrlAllow } from "@maia/outbound";
import { type BlobStore, sniffMime } from "@maia/storage";
import type { EngineConfig } from "./config.js";
import type { InputFetcher } from "./fetches.js";

/** Downloads input files through the guard, into the blob store. */
export function inputFetcher(
  { constants, urlAllow, urlDns }: Pick<EngineConfig, "constants" | "urlAllow" | "urlDns">,
  blobs: BlobStore,
): InputFetcher {
  const [allow, resolve] = [parseUrlAllow(urlAllow), parseDns(urlDns)];
  return async (url, signal, progress) => {
    const { urlWireMax, urlTotalMs, urlRedirectsMax, urlRetries, urlRetryMs } = constants;
    const { mime, ...blob } = await download(url, {
      allow,
      resolve,
      signal,
      limits: { wireMax: urlWireMax, totalMs: urlTotalMs, redirectsMax: urlRedirectsMax },
      retryMs: Array.from({ length: urlRetries }, (_, no) => urlRetryMs * 2 ** no),
      progress,
      sink: (bytes) => blobs.put(bytes),
    });
    const claims = { declared: mime, name: new URL(url).pathname };
    return { ...blob, mime: await sniffMime(blobs.path(blob.sha256), claims) };
  };
}
