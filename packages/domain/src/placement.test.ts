import { describe, expect, it } from "@jest/globals";
import { chooseBound, chooseInstance, chooseKeeper, type InstanceRoom } from "./placement.js";

const NOW = new Date("2026-11-21T12:00:00Z");
const room = (id: string, more: Partial<InstanceRoom> = {}): InstanceRoom => ({
  id,
  ledgerId: `led_${id}`,
  storeId: null,
  slots: 4,
  bound: 0,
  free: 4,
  running: 0,
  cpu: null,
  memory: null,
  helloAt: NOW,
  silentAt: null,
  stoppingAt: null,
  stoppedAt: null,
  ...more,
});
const chosen = (...rooms: InstanceRoom[]) => chooseInstance(rooms).instance?.id ?? chooseInstance(rooms).wait;

describe("A task that is to be placed", () => {
  it("goes where the largest share of the slots is free, else where most are, else to the first", () => {
    expect(chosen(room("a", { bound: 2 }), room("b", { bound: 1 }), room("c", { bound: 3 }))).toBe("b");
    expect(chosen(room("a", { slots: 2, bound: 1 }), room("b", { slots: 8, bound: 4 }))).toBe("b");
    expect(chosen(room("b"), room("a"))).toBe("a");
  });

  it.each([
    ["RUNNER_NOT_CONNECTED", []],
    ["RUNNER_NOT_CONNECTED", [room("a", { silentAt: NOW }), room("b", { stoppedAt: NOW })]],
    ["RUNNER_STOPPING", [room("a", { stoppingAt: NOW }), room("b", { silentAt: NOW })]],
    ["RUNNER_BUSY", [room("a", { bound: 4, free: 0 }), room("b", { stoppingAt: NOW })]],
    ["RUNNER_OVERLOADED", [room("a", { cpu: 0.81 }), room("b", { memory: 0.91 })]],
    ["RUNNER_OVERLOADED", [room("a", { free: 0, running: 1 }), room("b", { bound: 4 })]],
  ])("waits with the reason %s where nobody can take it", (wait, rooms) => {
    expect(chosen(...rooms)).toBe(wait);
  });

  it("goes past who is above the marks or says that it has no room", () => {
    expect(chosen(room("a", { cpu: 0.9 }), room("b", { bound: 3, free: 1 }))).toBe("b");
    expect(chosen(room("a", { free: 0 }), room("b", { bound: 3, free: 1 }))).toBe("b");
  });
});

describe("A task whose data stays at the runner", () => {
  const placed = (storeId: string | null, ...rooms: InstanceRoom[]) => {
    const { instance, wait } = chooseInstance(rooms, { storeId });
    return instance?.id ?? wait;
  };

  it("goes only to who has a store, and with data in one only to who has that one (F79)", () => {
    const [bare, here, there] = [room("a"), room("b", { storeId: "s1", bound: 3 }), room("c", { storeId: "s2" })];
    expect(placed(null, bare, here)).toBe("b");
    expect(placed(null, bare, here, there)).toBe("c");
    expect(placed("s1", bare, here, there)).toBe("b");
  });

  it("waits where nobody who is connected keeps data, or has what is kept already (F79)", () => {
    expect(placed(null, room("a"))).toBe("RUNNER_KEEPS_NO_DATA");
    expect(placed("s1", room("a"), room("b", { storeId: "s2" }))).toBe("RUNNER_DATA_AWAY");
    expect(placed("s1", room("b", { storeId: "s1", silentAt: NOW }))).toBe("RUNNER_NOT_CONNECTED");
    expect(placed("s1", room("b", { storeId: "s1", bound: 4 }), room("c", { storeId: "s2" }))).toBe("RUNNER_BUSY");
  });
});

describe("A file that is to be fetched into a store", () => {
  const keeper = (storeId: string | null, ...rooms: InstanceRoom[]) => chooseKeeper(rooms, { storeId })?.id ?? null;

  it("is for who has the store, busy or not, and for nobody who stops or is away (F79)", () => {
    expect(keeper(null, room("a"), room("b", { storeId: "s1", bound: 4, free: 0 }))).toBe("b");
    expect(keeper("s1", room("a", { storeId: "s2" }), room("b", { storeId: "s1" }))).toBe("b");
    expect(keeper(null, room("a", { storeId: "s1", stoppingAt: NOW }))).toBeNull();
    expect(keeper("s1", room("a", { storeId: "s1", silentAt: NOW }), room("b", { storeId: "s2" }))).toBeNull();
  });
});

describe("The next step of an open transaction", () => {
  it("goes to its instance, also while that is about to stop or busy with other things (G21)", () => {
    expect(chooseBound(room("a", { stoppingAt: NOW, cpu: 1 })).instance?.id).toBe("a");
  });

  it("waits for a slot there, and while nothing is heard of it", () => {
    expect(chooseBound(room("a", { bound: 4 })).wait).toBe("RUNNER_BUSY");
    expect(chooseBound(room("a", { silentAt: NOW })).wait).toBe("RUNNER_NOT_CONNECTED");
  });
});
