import { readFile } from "node:fs/promises";
import os from "node:os";
import type { Client } from "../test/support/client.ts";

export interface Measured {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What the same work costs without Maia, in the same unit; null where there is no such thing. */
  readonly floor: number | null;
  readonly floorIs?: string;
  /** True where more is better. */
  readonly more?: boolean;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? Number.NaN;
}

/** The conditions, without which a figure means nothing. */
export async function describeMachine(client: Client): Promise<string> {
  const run = await client.get<{ items: { id: string }[] }>("/v1/runs?limit=1");
  const isolation = run.items[0] ? (await client.run(run.items[0].id)).steps[0]?.attempts[0]?.isolation : null;
  const load = (await readFile("/proc/loadavg", "utf8").catch(() => "?")).split(" ")[0];
  const cpu = os.cpus();
  return `Node ${process.versions.node}, SQLite synchronous=FULL, ${cpu.length} × ${cpu[0]?.model ?? "?"}, isolation ${isolation}, load ${load}`;
}

export function print(conditions: string, figures: readonly Measured[]): void {
  console.log(`${conditions}\n`);
  const width = Math.max(...figures.map((figure) => figure.what.length));
  for (const { what, value, unit, floor, floorIs, more } of figures) {
    const own = `${format(value)} ${unit}`.padStart(16);
    const ratio =
      floor === null
        ? ""
        : `   ${(value / floor).toFixed(2)} × the floor of ${format(floor)} ${unit} (${floorIs})${more ? ", more is better" : ""}`;
    console.log(`${what.padEnd(width)} ${own}${ratio}`);
  }
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}
