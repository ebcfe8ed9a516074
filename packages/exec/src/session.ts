import type { MachineEnvironment } from "./environment.js";
import type { FillRules } from "./fill.js";
import { HelperClient } from "./helper-client.js";
import type { FromHelper, OpenMessage, ReadyMessage, ToHelper } from "./messages.js";
import type { LocalExecutorOptions } from "./options.js";
import { Pool } from "./pool.js";
import { Reuse } from "./reuse.js";
import { type Slot, SlotFolders } from "./slot-folders.js";

export type SlotMessage = Extract<FromHelper, { readonly slot: string }>;

/** Whoever uses a slot hears what happens in it. */
export interface SlotUser {
  readonly hear: (message: SlotMessage) => void;
  /** The helper has died, and everything in the slot with it. */
  readonly lose: () => void;
}

/** One life of the helper, with all that runs in it. */
export class Session {
  readonly folders: SlotFolders;
  readonly pool: Pool;
  readonly reuse: Reuse;
  readonly rules: FillRules;
  readonly environment: MachineEnvironment;
  private readonly users = new Map<string, SlotUser>();

  private constructor(
    readonly ready: ReadyMessage,
    private readonly helper: HelperClient,
    open: OpenMessage,
    options: LocalExecutorOptions,
  ) {
    this.folders = new SlotFolders(open, ready);
    this.pool = new Pool(options.poolSize, this.folders, (message) => this.send(message));
    this.reuse = new Reuse(this, options);
    this.rules = { mayLink: ready.runIsReadOnly, forOthers: ready.owner !== null };
    this.environment = { PATH: ready.path, LANG: ready.lang, TZ: open.timeZone };
  }

  /** Starts a helper. @throws {Error} with the reason why it cannot start steps here. */
  static async open(
    open: OpenMessage,
    stage: string | null,
    options: LocalExecutorOptions,
    onDeath: () => void,
  ): Promise<Session> {
    let session: Session | null = null;
    const helper = new HelperClient(open, stage, {
      onMessage: (message) => session?.hear(message, options.log),
      onDeath: () => {
        session?.lose();
        if (session) onDeath();
      },
      onTrouble: (text) => options.log("warn", "the helper wrote to its error output", { text: text.slice(0, 2_000) }),
    });
    try {
      const ready = await helper.ready();
      session = new Session(ready, helper, open, options);
      return session;
    } catch (error) {
      await helper.leave();
      throw error;
    }
  }

  get helperPid(): number | undefined {
    return this.helper.pid;
  }

  send(message: ToHelper): void {
    this.helper.send(message);
  }

  use(slot: Slot, user: SlotUser): void {
    this.users.set(slot.id, user);
  }

  /** Gives a slot back: its process ends, if it has not yet, and its folders go. */
  release(slot: Slot): void {
    this.users.delete(slot.id);
    this.send({ t: "remove", slot: slot.id });
  }

  async close(): Promise<void> {
    this.pool.close();
    await this.helper.leave();
    this.lose();
  }

  private lose(): void {
    this.pool.close();
    const users = [...this.users.values()];
    this.users.clear();
    this.reuse.lose();
    for (const user of users) user.lose();
  }

  private hear(message: FromHelper, log: LocalExecutorOptions["log"]): void {
    if (message.t === "note") log(message.level, message.message, message.fields);
    if (!("slot" in message)) return;
    const user = this.users.get(message.slot);
    if (user) user.hear(message);
    else if (message.t === "born") this.pool.born(message.slot, message.pid);
    else if (message.t === "gone" && this.pool.gone(message.slot) && message.message) {
      log("warn", "a process that waited for a step has ended", { reason: message.message });
    }
  }
}
