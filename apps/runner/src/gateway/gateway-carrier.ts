import { hostname } from "node:os";
import { PROTOCOL_VERSION } from "@maia/runner-protocol";
import { GatewayClient, type GatewayError } from "@maia/runner-protocol/client";
import pLimit from "p-limit";
import type { Carrier } from "../carrier.js";
import type { DirectDeps } from "../direct/direct-carrier.js";
import { Commands } from "./commands.js";
import { Contact } from "./contact.js";
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
}

/** How the process ends for reasons of this carrier. Source: docs/guides/runners.md, "Exit codes". */
export const EXIT = { stopped: 0, restart: 75, refused: 77, superseded: 78 } as const;

const CAPABILITIES = ["deps", "connectivity", "transactions"];
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
  const { attempts, logger, slots } = deps;
  const { url, clientId, clientSecret, answerMs } = config;
  const reach = await openReach(config.reach, new URL(url).hostname);
  const client = new GatewayClient({ url, clientId, clientSecret, reach, answerMs });
  const unconfirmed = await openUnconfirmed(deps);
  const done = Promise.withResolvers<number>();
  const firstContact = Promise.withResolvers<void>();
  const [working, reporting] = [new AbortController(), new AbortController()];
  const meter = new LoadMeter();

  const end = (code: number) => {
    working.abort();
    reporting.abort();
    firstContact.resolve();
    done.resolve(code);
  };
  const onSuperseded = () => {
    if (reporting.signal.aborted) return;
    logger.error("another process speaks for this runner's data directory; this one ends its attempts and itself");
    attempts.endAll({ code: "RUNNER_LOST", message: "Another process of the runner has taken over" });
    end(EXIT.superseded);
  };
  const onRejected = ({ code, message }: GatewayError) => {
    logger.error("the gateway turns this runner away", { code, error: message, fix: FIXES[code] });
    end(EXIT.refused);
  };
  const onNews = () => contact.news();

  const reports = new Reports({
    ...{ client, attempts, logger, onSuperseded, unconfirmed },
    onRoom: () => contact.room(),
    blobs: deps.blobs,
    signal: reporting.signal,
    contact: firstContact.promise,
  });
  const tasks = new Tasks({
    ...{ client, attempts, logger, onSuperseded, unconfirmed, reports, slots },
    blobs: deps.blobs,
    blobMaxBytes: config.blobMaxBytes,
    limit: pLimit(FETCHES),
    isOpen: () => !attempts.isStopping && !client.isRefused && !working.signal.aborted,
  });
  const commands = new Commands({
    ...{ attempts, tasks, reports, unconfirmed, onNews, logger },
    testConnection: deps.testConnection,
    onStop: (type) => done.resolve(type === "STOP" ? EXIT.stopped : EXIT.restart),
  });
  const contact = new Contact({
    ...{ client, tasks, commands, reports, logger, onSuperseded, onRejected },
    hello: helloOf(deps),
    load: () => meter.read(),
    marks: new Marks(config.marks),
    isStopping: () => attempts.isStopping,
    onFirstContact: () => firstContact.resolve(),
    signal: working.signal,
  });
  reports.resume();
  const running = contact.run().catch((error: unknown) => {
    logger.error("the runner cannot go on", { error });
    end(1);
  });

  const close = async () => {
    tasks.interruptAll();
    if (!(await within(LAST_REPORTS_MS, reports.allConfirmed()))) logger.warn("ends of attempts are left in the spool");
    working.abort();
    reporting.abort();
    firstContact.resolve();
    await running;
    await reports.allConfirmed();
    await sayGoodbye();
    meter[Symbol.dispose]();
    client.close();
  };
  const sayGoodbye = async () => {
    if (!client.welcome || isSuperseded()) return;
    await client.goodbye(AbortSignal.timeout(GOODBYE_MS)).catch((error: unknown) => {
      logger.warn("the gateway was not told goodbye", { error: (error as Error).message });
    });
  };
  let superseded = false;
  const isSuperseded = () => superseded;
  void done.promise.then((code) => {
    superseded = code === EXIT.superseded;
  });
  return { url, done: done.promise, announceStop: onNews, [Symbol.asyncDispose]: close };
}

const FIXES: { readonly [code: string]: string } = {
  CREDENTIALS_REFUSED: "set MAIA_CLIENT_ID and MAIA_CLIENT_SECRET to the runner's credentials",
  VERSION_UNSUPPORTED: "run a version of the runner that fits the API",
};

/** What an earlier process has left; a crash may have come before the ledger heard of an attempt, which is none then. */
async function openUnconfirmed({ unconfirmedDir, attempts }: GatewayDeps): Promise<Unconfirmed> {
  const unconfirmed = await Unconfirmed.open(unconfirmedDir);
  for (const { attemptId } of unconfirmed.all()) if (!attempts.knows(attemptId)) await unconfirmed.remove(attemptId);
  return unconfirmed;
}

function helloOf({ version, slots, isolation, ledgerId }: GatewayDeps) {
  const labels = { host: hostname() };
  return { protocol: PROTOCOL_VERSION, version, slots, labels, isolation, capabilities: CAPABILITIES, ledgerId };
}

/** False: it took too long. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, ms, false);
  const result = await Promise.race([promise.then(() => true), late.promise]);
  clearTimeout(timer);
  return result;
}
