import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import type { Load } from "@maia/runner-protocol";

/** Over how long the use of the processors is averaged, so that the start of one step is no overload. In milliseconds. */
const AVERAGE_MS = 10_000;
const SAMPLE_MS = 1_000;

/** Processor time that was used and could have been, up to a moment. Any unit. */
interface CpuTimes {
  readonly used: number;
  readonly could: number;
}

interface Memory {
  readonly memoryBytes: number;
  readonly memoryTotalBytes: number;
}

type Sample = ReadonlyMap<string, CpuTimes>;

export interface LoadMeterOptions {
  /** Where the system's files lie; for tests. */
  readonly root?: string;
  readonly now?: () => number;
  /** False: samples are taken by calling `sample`. */
  readonly isTimed?: boolean;
}

/**
 * Measures how busy this instance is: within the limits of its control group (v2) and the groups above it where they set
 * any, else on the whole machine.
 */
export class LoadMeter implements Disposable {
  readonly #samples: { readonly at: number; readonly sample: Sample }[] = [];
  readonly #root: string;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout | null;

  constructor({ root = "/", now = () => performance.now(), isTimed = true }: LoadMeterOptions = {}) {
    this.#root = root;
    this.#now = now;
    this.sample();
    this.#timer = isTimed ? setInterval(() => this.sample(), SAMPLE_MS).unref() : null;
  }

  read(): Load {
    const cpu = this.#cpu();
    return { ...(cpu === null ? {} : { cpu }), ...this.#memory() };
  }

  sample(): void {
    const at = this.#now();
    this.#samples.push({ at, sample: this.#limitedCpu(at) ?? this.#machineCpu() });
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= AVERAGE_MS) this.#samples.shift();
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  /** The largest share among the limits that hold; null before there is anything to compare. */
  #cpu(): number | null {
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!];
    const shares = [...last.sample].flatMap(([name, { used, could }]) => {
      const before = first.sample.get(name);
      return before && could > before.could ? [(used - before.used) / (could - before.could)] : [];
    });
    return shares.length === 0 ? null : round(Math.min(Math.max(...shares, 0), 1));
  }

  #memory(): Partial<Memory> {
    const limited = this.#groups().flatMap((group) => memoryOfGroup(group) ?? []);
    const all =
      limited.length > 0 ? limited : [memoryOfMachine(this.#read("proc/meminfo"))].flatMap((all) => all ?? []);
    const tightest = all.sort((a, b) => b.memoryBytes / b.memoryTotalBytes - a.memoryBytes / a.memoryTotalBytes)[0];
    return tightest ?? {};
  }

  #limitedCpu(atMs: number): Sample | null {
    const times = this.#groups().flatMap((group) => {
      const [quota, period] = (readText(join(group, "cpu.max")) ?? "max").split(" ").map(Number);
      const usedUs = numberAfter(readText(join(group, "cpu.stat")), "usage_usec");
      if (!quota || !period || usedUs === null) return [];
      const cores = Math.min(quota / period, availableParallelism());
      return [[group, { used: usedUs, could: atMs * 1_000 * cores }] as const];
    });
    return times.length > 0 ? new Map(times) : null;
  }

  #machineCpu(): Sample {
    const numbers = /^cpu +([\d ]+)/
      .exec(this.#read("proc/stat") ?? "")?.[1]
      ?.split(" ")
      .map(Number);
    if (!numbers) return new Map();
    const could = numbers.slice(0, 8).reduce((sum, value) => sum + value, 0); // guests are counted in user already
    const [idle = 0, waiting = 0] = numbers.slice(3, 5);
    return new Map([["machine", { used: could - idle - waiting, could }]]);
  }

  /** The folders of our control group and of those above it. */
  #groups(): string[] {
    const path = /^0::(\/.*)$/m.exec(this.#read("proc/self/cgroup") ?? "")?.[1];
    const top = join(this.#root, "sys/fs/cgroup");
    if (path === undefined) return [];
    const groups: string[] = [];
    for (let group = join(top, path); group.startsWith(top); group = dirname(group)) groups.push(group);
    return groups;
  }

  #read(path: string): string | null {
    return readText(join(this.#root, path));
  }
}

/** What a group has in use that cannot be given back at once, where it has a limit. */
function memoryOfGroup(group: string): Memory | null {
  const max = Number(readText(join(group, "memory.max")) ?? "max");
  const current = Number(readText(join(group, "memory.current")) ?? Number.NaN);
  if (!(max > 0) || !Number.isFinite(current)) return null;
  const cache = numberAfter(readText(join(group, "memory.stat")), "inactive_file") ?? 0;
  return { memoryBytes: Math.max(0, current - cache), memoryTotalBytes: max };
}

function memoryOfMachine(meminfo: string | null): Memory | null {
  const total = numberAfter(meminfo, "MemTotal:");
  const available = numberAfter(meminfo, "MemAvailable:");
  if (total === null || available === null) return null;
  return { memoryBytes: (total - available) * 1_024, memoryTotalBytes: total * 1_024 };
}

function numberAfter(text: string | null, name: string): number | null {
  const line = text?.split("\n").find((candidate) => candidate.startsWith(`${name} `) || candidate.startsWith(name));
  const found = /\d+/.exec(line?.slice(name.length) ?? "")?.[0];
  return found === undefined ? null : Number(found);
}

/** These files lie in memory, so reading them waits for no disk. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function round(share: number): number {
  return Math.round(share * 1_000) / 1_000;
}
