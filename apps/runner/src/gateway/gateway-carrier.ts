import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Resolve, UrlAllow } from "@maia/outbound";
import { type Hello, PROTOCOL_VERSION } from "@maia/runner-protocol";
import { GatewayClient, type GatewayError } from "@maia/runner-protocol/client";
import pLimit from "p-limit";
import type { Carrier } from "../carrier.js";
import type { DirectDeps } from "../direct/direct-carrier.js";
import { Errands } from "../keep/errands.js";
import { sweepKeepRegularly } from "../keep/sweep-keep.js";
import { pause } from "./backoff.js";
import { Commands } from "./commands.js";
import { Contact } from "./contact.js";
import { DiskRoom } from "./disk-room.js";
import type { GatewayCarrierConfig } from "./gateway-config.js";
import { LoadMeter } from "./load-meter.js";
import { Marks } from "./marks.js";
import { openReach } from "./reach.js";
import { Reports } from "./reports.js";
import { Tasks } from "./tasks.js";
import { Unconfirmed } from "./unconfirmed.js";

export interface GatewayDeps extends DirectDeps {
  /** The folder of the attempts whose end the gateway has not confirmed. */
  readonly unconfirmedDir: string;
  /** What downloads may reach although the guard would refuse it, and how names are resolved. */
  readonly urlAllow: UrlAllow;
  readonly resolve: Resolve;
}

/** How the process ends for reasons of this carrier. Source: docs/guides/runners.md, "Exit codes". */
const EXIT = { stopped: 0, failed: 1, restart: 75, refused: 77, superseded: 78 } as const;

/** What this runner can do beyond running steps. */
const CAPABILITIES = ["connectivity", "deps"];
/** How much content is fetched at once. */
const FETCHES = 4;
/** How long the ends of the last attempts, and the goodbye after them, may take. In milliseconds. */
const LAST_REPORTS_MS = 10_000;
const GOODBYE_MS = 5_000;

/**
 * Dials the gateway and listens on nothing. It returns at once: a gateway that cannot be reached yet is tried until it can.
 * @throws {ConfigError} on certificates that cannot be used.
 */
export async function openGatewayCarrier(config: GatewayCarrierConfig, deps: GatewayDeps): Promise<Carrier> {
  const { url, clientId, clientSecret, answerMs } = config;
  const reach = await openReach(config.reach, new URL(url).hostname);
  const client = new GatewayClient({ url, clientId, clientSecret, reach, answerMs });
  return new GatewayCarrier(config, deps, client, await openUnconfirmed(deps));
}

/** The parts that a gateway's runner is made of, and how they end. */
class GatewayCarrier implements Carrier {
  readonly url: string;
  readonly #done = Promise.withResolvers<number>();
  readonly #firstContact = Promise.withResolvers<void>();
  /** Aborted when nothing is asked for any more, and when nothing is reported any more. */
  readonly #working = new AbortController();
  readonly #reporting = new AbortController();
  readonly #meter = new LoadMeter();
  readonly #reports: Reports;
  readonly #tasks: Tasks;
  readonly #contact: Contact;
  readonly #contactEnded: Promise<void>;
  readonly #sweepEnded: Promise<void>;
  #isSuperseded = false;
  #isToStop = false;

  constructor(
    config: GatewayCarrierConfig,
    private readonly deps: GatewayDeps,
    private readonly client: GatewayClient,
    unconfirmed: Unconfirmed,
  ) {
    const { attempts, blobs, logger, slots, testConnection } = deps;
    const onSuperseded = () => this.#onSuperseded();
    const common = { client, attempts, blobs, logger, unconfirmed, onSuperseded };
    this.url = config.url;
    this.#reports = new Reports({
      ...common,
      signal: this.#reporting.signal,
      contact: this.#firstContact.promise,
    });
    this.#tasks = new Tasks({
      ...common,
      slots,
      reports: this.#reports,
      blobMaxBytes: config.blobMaxBytes,
      limit: pLimit(FETCHES),
      isOpen: (isOfTransaction) =>
        attempts.mayStart(isOfTransaction) && !client.isRefused && !this.#working.signal.aborted,
    });
    const errands = new Errands({ ...deps, client, signal: this.#working.signal });
    const commands = new Commands({
      ...common,
      errands,
      testConnection,
      reports: this.#reports,
      tasks: this.#tasks,
      onNews: () => this.#contact.news(),
      onStop: (type) => {
        this.#isToStop ||= type === "STOP";
        this.#done.resolve(type === "STOP" ? EXIT.stopped : EXIT.restart);
      },
    });
    this.#contact = new Contact({
      ...common,
      commands,
      reports: this.#reports,
      tasks: this.#tasks,
      hello: helloOf(deps),
      load: () => this.#meter.read(),
      marks: new Marks(
        config.marks,
        new DiskRoom({ dir: deps.unconfirmedDir, leastBytes: config.diskMinBytes, logger }),
      ),
      isStopping: () => attempts.isStopping,
      onFirstContact: () => this.#firstContact.resolve(),
      onRejected: (error) => this.#onRejected(error),
      signal: this.#working.signal,
    });
    this.#sweepEnded = this.#sweepKeep(config);
    this.#reports.resume();
    this.#contactEnded = this.#contact.run().catch((error: unknown) => {
      logger.error("the runner cannot go on", { error });
      this.#end(EXIT.failed);
    });
  }

  get done(): Promise<number> {
    return this.#done.promise;
  }

  /** It may be told to stop while it drains for a restart, and is not to be started again then. */
  exitCode(): number | null {
    return this.#isToStop && !this.#isSuperseded ? EXIT.stopped : null;
  }

  announceStop(): Promise<void> {
    this.#contact.news();
    return this.#contact.noTransactions();
  }

  /** Delivers what there is to deliver, and says goodbye. What cannot be delivered in time waits for the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { client, deps } = this;
    this.#tasks.interruptAll();
    if (!(await within(LAST_REPORTS_MS, this.#reports.allConfirmed())))
      deps.logger.warn("ends of attempts are kept for the next start");
    this.#abort();
    await this.#contactEnded;
    await this.#sweepEnded;
    await this.#reports.allConfirmed();
    if (client.welcome && !this.#isSuperseded) await this.#sayGoodbye();
    this.#meter[Symbol.dispose]();
    client.close();
  }

  async #sweepKeep({ keepSweepMs, keepAgeMs: ageMs }: GatewayCarrierConfig): Promise<void> {
    const { keep, logger } = this.deps;
    if (keep === null) return;
    const deps = { keep, logger, ageMs, client: this.client, clock: () => new Date(), signal: this.#working.signal };
    await sweepKeepRegularly(deps, (signal) => pause(keepSweepMs, signal));
  }

  async #sayGoodbye(): Promise<void> {
    try {
      await this.client.goodbye(AbortSignal.timeout(GOODBYE_MS));
    } catch (error) {
      this.deps.logger.warn("the gateway was not told goodbye", { error: (error as Error).message });
    }
  }

  #onSuperseded(): void {
    if (this.#isSuperseded) return;
    this.#isSuperseded = true;
    const { attempts, logger } = this.deps;
    logger.error("another process speaks for this runner's data directory; this one ends its attempts and itself");
    attempts.endAll({ code: "RUNNER_LOST", message: "Another process of the runner has taken over" });
    this.#end(EXIT.superseded);
  }

  #onRejected({ code, message }: GatewayError): void {
    const fix =
      code === "CREDENTIALS_REFUSED"
        ? "set MAIA_CLIENT_ID and MAIA_CLIENT_SECRET to the runner's credentials"
        : "run a version of the runner that fits the API";
    this.deps.logger.error("the gateway turns this runner away", { code, error: message, fix });
    this.#end(EXIT.refused);
  }

  #end(code: number): void {
    this.#abort();
    this.#done.resolve(code);
  }

  #abort(): void {
    this.#working.abort();
    this.#reporting.abort();
    this.#firstContact.resolve(); // whoever waits for it finds the signal aborted
  }
}

/** What an earlier process has left; a crash may have come before the ledger heard of an attempt, which is none then. */
async function openUnconfirmed({ unconfirmedDir, attempts }: GatewayDeps): Promise<Unconfirmed> {
  const unconfirmed = await Unconfirmed.open(unconfirmedDir);
  for (const { attemptId } of unconfirmed.all()) if (!attempts.knows(attemptId)) await unconfirmed.remove(attemptId);
  return unconfirmed;
}

function helloOf({ version, slots, isolation, ledgerId, keep }: GatewayDeps): Hello {
  const us = { version, slots, isolation, ledgerId, labels: { host: hostname() }, processId: randomUUID() };
  const store = keep === null ? {} : { storeId: keep.storeId };
  const capabilities = keep === null ? CAPABILITIES : [...CAPABILITIES, "keep"];
  return { protocol: PROTOCOL_VERSION, capabilities, ...us, ...store };
}

/** False: it took too long. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, ms, false);
  const result = await Promise.race([promise.then(() => true), late.promise]);
  clearTimeout(timer);
  return result;
}
