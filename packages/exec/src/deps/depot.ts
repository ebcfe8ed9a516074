import { readdir, rm } from "node:fs/promises";
import { type Dependencies, depsHash } from "@maia/domain";
import type { CancelMode, TaskDeps } from "@maia/runner-protocol";
import type { InstallTools } from "../messages.js";
import type { DepsOptions } from "../options.js";
import type { Session } from "../session.js";
import { Install, InstallError } from "./install.js";
import type { InstallSettings } from "./settings.js";
import { DepsStore, type SetInUse } from "./store.js";

/** What is there for who asked for packages. */
export interface Installed {
  readonly set: SetInUse;
  /** SHA-256 of the dependency map and the lock. */
  readonly hash: string;
  readonly lock: string;
}

/** Somebody's wait for packages. */
export interface Wanted {
  /** @throws {InstallError} */
  readonly installed: Promise<Installed>;
  /** Waits no longer. The installation ends with the last who waits for it (F70). */
  readonly cancel: (mode: CancelMode) => void;
}

export type OnLines = (lines: readonly string[]) => void;

const GRACE_MS = 2_000;
/** Folders that an installation leaves for steps. */
const KEPT = ["node_modules", "python"];
/** Lines of a running installation that who comes later is shown. */
const REPLAYED_LINES = 1_000;

interface Running {
  readonly waiting: Set<{ readonly onLines: OnLines; readonly fail: (error: Error) => void }>;
  readonly lines: string[];
  install: Install | null;
  readonly done: Promise<{ readonly key: string; readonly hash: string; readonly lock: string }>;
}

/** Brings sets of packages to this host, each once, however many ask for it (G20). */
export class Depot {
  private readonly running = new Map<string, Running>();

  private constructor(
    private readonly store: DepsStore,
    private readonly options: DepsOptions,
    private readonly settings: () => InstallSettings,
  ) {}

  /** Opens the sets of this host for the executor that has a folder. */
  static async open(
    options: DepsOptions,
    home: string,
    settings: () => InstallSettings,
    onTrouble: (message: string, error: unknown) => void,
  ): Promise<Depot> {
    return new Depot(await DepsStore.open({ ...options, home, onTrouble }), options, settings);
  }

  /** The folder that steps may read. */
  get folder(): string {
    return this.store.sets;
  }

  /** A set that is on this host already, or null. */
  use({ ready }: Session, deps: TaskDeps): SetInUse | null {
    return deps.lock === null ? null : this.store.use(keyOf(deps, deps.hash, ready.tools));
  }

  /** Asks for packages: waits for those who install them already, or installs them. */
  want(session: Session, deps: TaskDeps, onLines: OnLines, timeoutMs = this.options.timeoutMs): Wanted {
    const there = this.use(session, deps);
    if (there) {
      const installed = { set: there, hash: deps.hash, lock: deps.lock! };
      return { installed: Promise.resolve(installed), cancel: () => undefined };
    }
    const known = this.running.get(deps.hash);
    if (known) onLines(known.lines);
    const running = known ?? this.begin(session, deps, timeoutMs);
    const gaveUp = Promise.withResolvers<never>();
    const waiter = { onLines, fail: gaveUp.reject };
    running.waiting.add(waiter);
    const cancel = (mode: CancelMode): void => {
      if (!running.waiting.delete(waiter)) return;
      if (running.waiting.size === 0) {
        this.forget(deps.hash, running); // who comes from now on begins anew
        running.install?.cancel(mode);
      }
      gaveUp.reject(new InstallError("canceled", "canceled before it began"));
    };
    return { installed: Promise.race([this.taken(running), gaveUp.promise]), cancel };
  }

  private async taken(running: Running): Promise<Installed> {
    const { key, hash, lock } = await running.done;
    const set = this.store.use(key);
    if (!set) throw new InstallError("lost", "the packages were removed before they could be used");
    return { set, hash, lock };
  }

  private begin(session: Session, deps: TaskDeps, timeoutMs: number): Running {
    const lines: string[] = [];
    const running: Running = {
      waiting: new Set(),
      lines,
      install: null,
      done: this.install(session, deps, timeoutMs, () => running),
    };
    running.done.catch(() => undefined);
    this.running.set(deps.hash, running);
    return running;
  }

  private async install(
    session: Session,
    deps: TaskDeps,
    timeoutMs: number,
    running: () => Running,
  ): Promise<Awaited<Running["done"]>> {
    await Promise.resolve(); // whoever begins it is waiting by now
    const { waiting } = running();
    try {
      await using lock = await this.store.lock(deps.hash, () => waiting.size > 0);
      if (lock === null || waiting.size === 0) throw new InstallError("canceled", "canceled before it began");
      const there = this.use(session, deps);
      const done = there
        ? { key: there.key, hash: deps.hash, lock: deps.lock! }
        : await this.installNow(session, deps, timeoutMs, running());
      const held = there ?? this.store.use(done.key);
      setImmediate(() => this.letGo(held)); // by then those who wait have taken it
      return done;
    } finally {
      this.forget(deps.hash, running());
    }
  }

  private forget(hash: string, running: Running): void {
    if (this.running.get(hash) === running) this.running.delete(hash);
  }

  private letGo(held: SetInUse | null): void {
    held?.release();
    this.store.evict();
  }

  private async installNow(
    session: Session,
    deps: TaskDeps,
    timeoutMs: number,
    running: Running,
  ): Promise<Awaited<Running["done"]>> {
    const { waiting, lines } = running;
    const onLines = (more: readonly string[]): void => {
      if (lines.length < REPLAYED_LINES) lines.push(...more);
      for (const waiter of waiting) waiter.onLines(more);
    };
    const install = new Install(session, deps, { settings: this.settings(), timeoutMs, graceMs: GRACE_MS, onLines });
    running.install = install;
    return await install.run(async ({ folder, lock }) => {
      const hash = depsHash(dependenciesOf(deps), lock);
      const key = keyOf(deps, hash, session.ready.tools);
      for (const name of await readdir(folder))
        if (!KEPT.includes(name)) await rm(`${folder}/${name}`, { recursive: true, force: true });
      await this.store.keep(key, folder);
      return { key, hash, lock };
    });
  }
}

/** The map that the hash covers. */
export function dependenciesOf({ npm, python, allowScripts = [] }: TaskDeps): Dependencies {
  return { npm, python, ...(allowScripts.length > 0 ? { allowScripts } : {}) };
}

/** What a set is called on this host: packages that were compiled fit one platform and one interpreter. */
function keyOf({ npm, python }: TaskDeps, hash: string, { abi }: InstallTools): string {
  const node = Object.keys(npm).length > 0 ? [abi.node] : [];
  const own = python.length > 0 ? [abi.python ?? ""] : [];
  return [hash, abi.platform, ...node, ...own].join("_");
}
