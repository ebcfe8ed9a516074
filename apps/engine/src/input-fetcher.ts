import { download, parseUrlAllow } from "@maia/outbound";
import { type BlobStore, sniffMime } from "@maia/storage";
import type { EngineConfig } from "./config.js";
import type { InputFetcher } from "./fetches.js";

/** Downloads input files through the guard, into the blob store. */
export function inputFetcher(
  { constants, urlAllow }: Pick<EngineConfig, "constants" | "urlAllow">,
  blobs: BlobStore,
): InputFetcher {
  const allow = parseUrlAllow(urlAllow);
  return async (url, signal, progress) => {
    const { urlWireMax, urlTotalMs, urlRedirectsMax, urlRetries, urlRetryMs } = constants;
    const { mime, ...blob } = await download(url, {
      allow,
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
