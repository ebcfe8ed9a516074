import type { Db } from "@maia/db";
import type { Clock } from "@maia/domain";
import type { SecretBox } from "@maia/secrets";
import type { Constants, Logger } from "@maia/service";
import type { BlobStore } from "@maia/storage";
import { Snapshots, type TaskRules, type TaskSources, taskRules } from "@maia/tasks";
import { RateLimit } from "../rate-limit.js";
import { Beats } from "./beats.js";
import { SentBytes } from "./bounds.js";
import { Switchboard } from "./switchboard.js";
import { Transfers } from "./transfers.js";

export interface GatewayDeps {
  readonly db: Db;
  readonly blobs: BlobStore;
  readonly secrets: SecretBox;
  readonly constants: Constants;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** So many processes of one runner may say hello per minute: a fleet that is deployed anew comes all at once. */
const HELLOS_PER_MINUTE = 1_200;

/** What the routes of runners share. It decides nothing: the engine does, and they meet in the database. */
export class Gateway implements AsyncDisposable {
  readonly switchboard: Switchboard;
  readonly snapshots: Snapshots;
  readonly sources: TaskSources;
  readonly rules: TaskRules;
  readonly beats: Beats;
  /** Bytes that runners keep, on their way to who asked for them. */
  readonly transfers = new Transfers();
  readonly hellos = new RateLimit(HELLOS_PER_MINUTE);
  /** What attempts have sent as artifacts. */
  readonly sent = new SentBytes();

  constructor({ db, blobs, secrets, constants, logger, clock }: GatewayDeps) {
    this.switchboard = new Switchboard(db, logger);
    this.snapshots = new Snapshots(db);
    this.sources = { db, blobs, secrets };
    this.rules = { ...taskRules(constants), reconnectWindowMs: constants.gatewayReconnectWindowMs };
    this.beats = new Beats(db, clock, logger, constants.runnerHeartbeatMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.switchboard[Symbol.dispose]();
    await this.beats[Symbol.asyncDispose]();
  }
}
