import { allProcesses, childrenOf, descendants, findMarked, isRunning, processFacts, signal } from "../processes.js";

/** All processes of one slot, to be asked to end, ended, and found gone. */
export interface Tree {
  /** SIGTERM to every process of the step, stopped ones included. */
  ask(): void;
  /** SIGKILL to everything. Repeat it until `isGone`. */
  kill(): void;
  isGone(): boolean;
  /** The process that the tree began with has been waited for: its number may belong to another soon. */
  rootExited(): void;
}

/** A tree in a PID namespace of its own: the kernel ends all of it with the namespace's first process. */
export class NamespaceTree implements Tree {
  private init: { pid: number; startedAt: string } | null = null;
  private hasKeeper = true;

  /** `keeper` is the process on our side that started the namespace and ends with it. */
  constructor(private readonly keeper: number) {}

  ask(): void {
    this.findInit();
    if (!this.init) return;
    // The first process only waits and reaps; signals are for those that it started.
    for (const pid of descendants(this.init.pid)) {
      signal(pid, "SIGTERM");
      signal(pid, "SIGCONT");
    }
  }

  kill(): void {
    if (this.hasKeeper) {
      // A stopped keeper starts nothing more, so that its children are all there is to end.
      signal(this.keeper, "SIGSTOP");
      this.findInit();
      for (const pid of childrenOf(this.keeper)) signal(pid, "SIGKILL");
      signal(this.keeper, "SIGKILL");
    }
    if (this.init && isRunning(this.init.pid, this.init.startedAt)) signal(this.init.pid, "SIGKILL");
  }

  isGone(): boolean {
    if (this.hasKeeper) return false;
    return this.init === null || !isRunning(this.init.pid, this.init.startedAt);
  }

  rootExited(): void {
    this.hasKeeper = false;
  }

  /** Remembers the namespace's first process, which outlives its keeper by a moment. */
  findInit(): void {
    if (this.init) return;
    const pid = childrenOf(this.keeper)[0];
    const facts = pid === undefined ? null : processFacts(pid);
    if (pid !== undefined && facts) this.init = { pid, startedAt: facts.startedAt };
  }
}

/** A tree that is held together by a process group and by marks that its members inherit. */
export class GroupTree implements Tree {
  private hasLeader = true;
  /** While the group has a member its number is given to nobody else; once it has none it is not ours any more. */
  private hasGroup = true;

  constructor(
    private readonly leader: number,
    private readonly marks: readonly string[],
  ) {}

  ask(): void {
    for (const pid of this.members()) {
      signal(pid, "SIGTERM");
      signal(pid, "SIGCONT");
    }
  }

  kill(): void {
    // One signal for all of the group at once, which outruns any that is forking.
    this.killGroup();
    const members = this.members();
    // Whoever is stopped cannot start another while the rest is being ended.
    for (const pid of members) signal(pid, "SIGSTOP");
    for (const pid of members) signal(pid, "SIGKILL");
  }

  /** Kills what is left of the group; false when nothing was, marks aside. Cheap, unlike `kill`. */
  killGroup(): boolean {
    this.hasGroup &&= signal(-this.leader, "SIGKILL") || this.hasLeader;
    return this.hasGroup;
  }

  isGone(): boolean {
    return !this.hasLeader && this.members().length === 0;
  }

  rootExited(): void {
    this.hasLeader = false;
  }

  private members(): number[] {
    const group = this.hasGroup ? allProcesses().filter((pid) => processFacts(pid)?.group === this.leader) : [];
    const below = this.hasLeader ? descendants(this.leader) : [];
    const found = new Set([...group, ...below, ...findMarked(this.marks)]);
    return [...found].filter((pid) => isRunning(pid));
  }
}
