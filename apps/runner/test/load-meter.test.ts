import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { LoadMeter } from "../src/gateway/load-meter.js";
import { Marks } from "../src/gateway/marks.js";

let root: string;
let now = 0;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "maia-proc-"));
  now = 1_000;
});
afterEach(() => rmSync(root, { recursive: true }));

function put(files: { readonly [path: string]: string }): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
}
const open = () => new LoadMeter({ root, now: () => now, isTimed: false });
const machine = (busy: number, idle: number) => ({
  "proc/stat": `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 1 1 1`,
  "proc/meminfo": "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB",
  "proc/self/cgroup": "0::/a.slice/runner.service",
});

describe("the load of an instance", () => {
  it("is the machine's where no control group sets a limit", () => {
    put({
      ...machine(100, 100),
      "sys/fs/cgroup/a.slice/cpu.max": "max 100000",
      "sys/fs/cgroup/a.slice/memory.max": "max",
    });
    using meter = open();
    expect(meter.read()).toEqual({ memoryBytes: 750 * 1_024, memoryTotalBytes: 1_000 * 1_024 });
    put(machine(160, 140));
    now += 1_000;
    meter.sample();
    expect(meter.read().cpu).toBe(0.6);
  });

  it("is what a control group, its own or one above it, leaves of its limits", () => {
    const [own, above] = ["sys/fs/cgroup/a.slice/runner.service", "sys/fs/cgroup/a.slice"];
    put({
      ...machine(0, 0),
      [`${own}/cpu.max`]: "max 100000",
      [`${above}/cpu.max`]: "50000 100000",
      [`${above}/cpu.stat`]: "usage_usec 1000000\nuser_usec 5",
      [`${own}/memory.max`]: "1000",
      [`${own}/memory.current`]: "900",
      [`${own}/memory.stat`]: "anon 5\ninactive_file 300",
      [`${above}/memory.max`]: "10000",
      [`${above}/memory.current`]: "1000",
    });
    using meter = open();
    expect(meter.read()).toEqual({ memoryBytes: 600, memoryTotalBytes: 1_000 });
    put({ [`${above}/cpu.stat`]: "usage_usec 1450000" });
    now += 1_000;
    meter.sample();
    expect(meter.read().cpu).toBe(0.9); // 450 ms of the 500 that one second allows
  });

  it("is an average of the last seconds, so that a spike is none and a change is seen", () => {
    put(machine(0, 0));
    using meter = open();
    for (let second = 1; second <= 10; second++) {
      put(machine(0, second * 100));
      now += 1_000;
      meter.sample();
    }
    put(machine(100, 1_000));
    now += 1_000;
    meter.sample();
    expect(meter.read().cpu).toBeCloseTo(0.1, 1);
    for (let second = 2; second <= 12; second++) {
      put(machine(second * 100, 1_000));
      now += 1_000;
      meter.sample();
    }
    expect(meter.read().cpu).toBe(1);
  });

  it("is not told where the system does not say it", () => {
    using meter = open();
    expect(meter.read()).toEqual({});
  });

  it("can be read on this machine", () => {
    using meter = new LoadMeter();
    const { memoryBytes = 0, memoryTotalBytes = 0 } = meter.read();
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThan(memoryTotalBytes);
  });
});

describe("marks", () => {
  const marks = new Marks({ cpu: 80, memory: 90 });
  const memory = (share: number) => ({ memoryBytes: share * 100, memoryTotalBytes: 100 });

  it.each([
    [{ cpu: 0.8, ...memory(0.9) }, null],
    [{ cpu: 0.801, ...memory(0.1) }, "cpu"],
    [{ cpu: 0.1, ...memory(0.91) }, "memory"],
    [{}, null],
  ])("of 80 and 90 per cent find of %j: %s", (load, exceeded) => {
    expect(marks.exceededBy(load)).toBe(exceeded);
  });

  it("of 100 per cent are none, and the figures are kept back", () => {
    const none = new Marks({ cpu: 100, memory: 100 });
    expect(none.exceededBy({ cpu: 1, ...memory(1) })).toBeNull();
    expect(none.told({ cpu: 1, ...memory(1) })).toEqual({});
    expect(marks.told({ cpu: 1, ...memory(1) })).toEqual({ cpu: 1, ...memory(1) });
  });
});
