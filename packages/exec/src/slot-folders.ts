import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs";
import type { OpenMessage, ReadyMessage } from "./messages.js";
import { type SlotView, slotView } from "./slot-view.js";

/** A place for a process and what it works on. */
export interface Slot {
  readonly id: string;
  /** Where things lie on the host. */
  readonly host: SlotView;
  /** Where the step finds them. */
  readonly seen: SlotView;
  /** The process that waits in the slot already, as the host numbers it. */
  readonly pid: number | null;
}

/** Makes slots: folders of their own, owned by whoever runs the steps. */
export class SlotFolders {
  private count = 0;

  constructor(
    private readonly open: OpenMessage,
    private readonly ready: ReadyMessage,
  ) {}

  /** Makes an empty slot. @throws {Error} that says why it cannot be made, for whoever has to end an attempt by it. */
  create(): Slot {
    try {
      return this.make();
    } catch (error) {
      const isGone = !existsSync(`${this.open.home}/slots`);
      const why = isGone ? "it was removed while Maia ran; restart Maia" : (error as Error).message;
      throw new Error(`the folder ${this.open.home}, in which steps run, cannot be used: ${why}`, { cause: error });
    }
  }

  private make(): Slot {
    const id = `${this.open.slotPrefix}${this.count++}`;
    const folder = `${this.open.home}/slots/${id}`;
    const host = slotView(`${folder}/run`, `${folder}/work`);
    for (const path of [folder, host.run]) makeFolder(path, 0o755);
    for (const path of [`${folder}/tmp`, host.work, host.artifacts, `${host.work}/.maia`]) {
      makeFolder(path, 0o700);
      if (this.ready.owner) chownSync(path, this.ready.owner.uid, this.ready.owner.gid);
    }
    return { id, host, seen: this.seen(id), pid: null };
  }

  private seen(id: string): SlotView {
    const run = this.ready.viewRun.replace("{slot}", id);
    const work = this.ready.viewWork.replace("{slot}", id);
    return slotView(run, work);
  }
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { mode });
  if ((mode & process.umask()) !== 0) chmodSync(path, mode);
}
