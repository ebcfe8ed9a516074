// Loaded into a process before its own code: moves its wall clock by the milliseconds that the file CLOCK_FILE holds,
// which may change at any time. The monotonic clock and timers go on as they are, as when an operator sets the clock.
import { readFileSync } from "node:fs";

const file = process.env.CLOCK_FILE;
const Real = globalThis.Date;
let offsetMs = 0;
const look = () => {
  offsetMs = Number(readFileSync(file, "utf8"));
};
look();
setInterval(look, 20).unref();

globalThis.Date = class MovedDate extends Real {
  constructor(...args) {
    if (args.length === 0) super(Real.now() + offsetMs);
    else super(...args);
  }

  static now() {
    return Real.now() + offsetMs;
  }
};
