import { download, type Resolve, type UrlAllow } from "@maia/outbound";
import type { FetchCommand, ReceiveCommand, SendCommand } from "@maia/runner-protocol";
import type { GatewayClient } from "@maia/runner-protocol/client";
import type { Logger } from "@maia/service";
import { sniffMime } from "@maia/storage";
import pLimit from "p-limit";
import type { Keep } from "./keep.js";

export interface ErrandsDeps {
  readonly keep: Keep | null;
  readonly client: GatewayClient;
  readonly urlAllow: UrlAllow;
  readonly resolve: Resolve;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** How many transfers and downloads go on at once. */
const AT_ONCE = { sends: 16, receives: 16, fetches: 4 } as const;
/** Longest reason that a result has room for, in characters. */
const REASON_MAX = 1_000;

/** What the gateway asks of the runner's store: to send what is in it, and to take something in. */
export class Errands {
  readonly #sends = pLimit(AT_ONCE.sends);
  readonly #receives = pLimit(AT_ONCE.receives);
  readonly #fetches = pLimit(AT_ONCE.fetches);

  constructor(private readonly deps: ErrandsDeps) {}

  /** Sends bytes to where they are waited for, or says why not. Whoever has stopped waiting ends it. */
  send(command: SendCommand): Promise<void> {
    return this.#sends(() => this.#send(command));
  }

  /** Brings what is behind a URL into the store; gives what is to be told of it. */
  fetch(command: FetchCommand): Promise<object> {
    return this.#fetches(() => this.#fetch(command));
  }

  /** Takes bytes that somebody sends into the store; gives what is to be told of them. */
  receive(command: ReceiveCommand): Promise<object> {
    return this.#receives(() => this.#receive(command));
  }

  async #receive({ storeId, transferId, name, mime }: ReceiveCommand): Promise<object> {
    const { keep, client, signal } = this.deps;
    if (keep?.storeId !== storeId) return { error: `the runner has another store than ${storeId} by now` };
    try {
      const { sha256, sizeBytes } = await keep.blobs.put(client.getTransfer(transferId, signal), { signal });
      return { sha256, sizeBytes, mime: await sniffMime(keep.blobs.path(sha256), { declared: mime, name }) };
    } catch (error) {
      return { error: (error as Error).message.slice(0, REASON_MAX) };
    }
  }

  async #send(command: SendCommand): Promise<void> {
    const { client, keep, logger, signal } = this.deps;
    const { transferId, sha256, start, end } = command;
    try {
      const problem = await this.#problemOf(command);
      if (problem !== null || keep === null) await client.refuseTransfer(transferId, problem ?? "", signal);
      else
        await client.sendTransfer(transferId, () => keep.blobs.read(sha256, { start, end }), end - start + 1, signal);
    } catch (error) {
      logger.warn("bytes that were asked for could not be sent", { sha256, error: (error as Error).message });
    }
  }

  /** Why the bytes cannot be had here, or null. */
  async #problemOf({ storeId, sha256, sizeBytes }: SendCommand): Promise<string | null> {
    const { keep } = this.deps;
    if (keep?.storeId !== storeId) return `the runner has another store than ${storeId} by now`;
    const found = await keep.blobs.size(sha256);
    if (found === null) return "they are not in its store any more";
    return found === sizeBytes ? null : `they are damaged: ${found} bytes of ${sizeBytes}`;
  }

  async #fetch({ storeId, url, wireMax, totalMs, redirectsMax, retryMs }: FetchCommand): Promise<object> {
    const { keep, urlAllow: allow, resolve, signal } = this.deps;
    if (keep?.storeId !== storeId) return { error: `the runner has another store than ${storeId} by now` };
    try {
      const limits = { wireMax, totalMs, redirectsMax };
      const sink = (bytes: AsyncIterable<Uint8Array>) => keep.blobs.put(bytes);
      const { sha256, sizeBytes, mime } = await download(url, { allow, resolve, signal, limits, retryMs, sink });
      const claims = { declared: mime, name: new URL(url).pathname };
      return { sha256, sizeBytes, mime: await sniffMime(keep.blobs.path(sha256), claims) };
    } catch (error) {
      return { error: (error as Error).message.slice(0, REASON_MAX) };
    }
  }
}
