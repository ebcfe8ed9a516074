import { afterEach, describe, expect, it } from "@jest/globals";
import type { Bell } from "@maia/db";
import type { Logger } from "@maia/service";
import { Ticker } from "./ticker.js";

const quiet: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet };
const silent = { listen: () => () => {} } as unknown as Bell;
let ticker: Ticker | null = null;
let letGo = () => {};

function start(tick: () => Promise<void>, beat = async () => {}): Ticker {
  ticker = new Ticker({ tick, beat, bell: silent, renewMs: 5, retryMs: 1, logger: quiet });
  ticker.start();
  return ticker;
}

afterEach(async () => {
  letGo();
  await ticker?.stop();
});

describe("a ticker", () => {
  it("tells how long a tick has lasted, so that one that hangs is found out by the beats", async () => {
    const seen = Promise.withResolvers<number>();
    const hangs = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const hung = start(
      () => hangs,
      async () => void (hung.busyMs > 20 && seen.resolve(hung.busyMs)),
    );
    expect(await seen.promise).toBeGreaterThan(20);
    letGo();
    await hung.stopTicks();
    expect(hung.busyMs).toBe(0);
  });

  it("tries a tick that failed again", async () => {
    const again = Promise.withResolvers<number>();
    let ticks = 0;
    start(async () => {
      ticks += 1;
      if (ticks < 3) throw new Error("not yet");
      again.resolve(ticks);
    });
    expect(await again.promise).toBe(3);
  });
});
