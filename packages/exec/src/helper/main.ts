import type { ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { OpenMessage, ToHelper } from "../messages.js";
import { findMarked, signal } from "../processes.js";
import { startGuard } from "./guard.js";
import { Helper } from "./helper.js";
import { Outbox } from "./outbox.js";
import { prepare } from "./prepare.js";
import { watchSupervisor } from "./supervisor.js";

// The folder stands there only to be seen: it says whose helper this is.
const [_home, supervisor, ...inherited] = process.argv.slice(2);
closeInherited(inherited.map(Number));

/** How long the last trees have to be gone after the executor's death. */
const LAST_MS = 20_000;

let helper: Helper | null = null;
let guard: ChildProcess | null = null;
const outbox = new Outbox(process.stdout, () => helper?.hold(false));

async function open(message: OpenMessage): Promise<void> {
  const { env } = process;
  const prepared = await prepare(message, env.PATH ?? "", env.MAIA_EXEC_STAGE ?? null);
  if ("refused" in prepared) {
    outbox.send({ t: "refused", message: prepared.refused });
    return;
  }
  guard = startGuard(message.home, `/${message.slotPrefix}`);
  helper = new Helper(prepared.setup, outbox);
  outbox.send(prepared.ready);
}

let mark: string | null = null;
let isLeaving = false;

/** The executor is gone: nothing that it started may stay. */
function leave(): void {
  if (isLeaving) return;
  isLeaving = true;
  helper?.endAll();
  const until = performance.now() + LAST_MS;
  const look = (): void => {
    if ((helper?.isIdle ?? true) || performance.now() > until) {
      if (mark) for (const pid of findMarked([mark])) signal(pid, "SIGKILL");
      guard?.kill("SIGKILL");
      // An orderly exit waits for threads of its own, which a process in the middle of its start may never see end.
      process.kill(process.pid, "SIGKILL");
    }
    setTimeout(look, 5);
  };
  look();
}

/** Closes what the executor's own parents left open: a step would inherit it. */
function closeInherited(descriptors: readonly number[]): void {
  for (const descriptor of descriptors.filter((number) => number > 2)) closeSync(descriptor);
}

// The executor decides when its helper ends, by closing the helper's input.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => undefined);
process.stdout.on("error", () => undefined);

watchSupervisor(Number(supervisor), leave);
const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
lines.on("line", (line) => {
  const message = JSON.parse(line) as ToHelper;
  if (message.t === "open") {
    mark = `/${message.slotPrefix}`;
    void open(message);
  } else helper?.handle(message);
});
lines.on("close", leave);
