import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/processes.ts";
import type { Chaos } from "./chaos.ts";
import type { FleetRunner, Instance } from "./fleet.ts";

/** Who is tormented, and since when nobody has harmed it. */
export interface Victim {
  readonly chaos: Chaos;
  readonly runner: FleetRunner;
  readonly calmFrom: number;
}

type Trouble = (victim: Victim) => Promise<void>;

/** What happens to one runner, one thing after another. Each leaves it with two processes that run. */
export const troubles: Readonly<Record<string, Trouble>> = {
  async pause({ chaos, runner, calmFrom }) {
    await runner.isBusy();
    await runner.command("PAUSE");
    const from = Date.now();
    const isToBeQuiet = chaos.random() < 0.7 || !chaos.statuses.has("PAUSED");
    if (isToBeQuiet) await runner.is("PAUSED");
    await chaos.rest(500, 2_500);
    chaos.pauses.push({ runnerId: runner.id, calmFrom, from, to: Date.now() });
    await runner.command("RESUME");
  },

  async restart({ runner }) {
    await runner.command("RESTART");
    await runner.is("STOPPING", "RUNNING");
    await runner.is("RUNNING");
  },

  async stop({ chaos, runner }) {
    await runner.isBusy();
    const ends = Promise.all(runner.instances.map((instance) => instance.stopped()));
    // A process that said hello only after the order was not meant by it, so it is told again.
    while (runner.instances.some(({ running }) => running)) {
      await runner.command("STOP");
      await Promise.race([ends, delay(2_000)]);
    }
    for (const code of await ends)
      if (code !== 0) chaos.violate(`G22 a process of ${runner.name} was told to stop, and exited with ${code}`);
    await runner.is("STOPPED", "UNKNOWN"); // an instance whose disk was lost never says goodbye
    for (const instance of runner.instances) instance.start();
  },

  async terminate({ chaos, runner }) {
    const instance = one(chaos, runner);
    const code = await instance.stop();
    if (code !== 0) chaos.violate(`G22 a process of ${runner.name} was asked to end, and exited with ${code}`);
    instance.start();
  },

  async kill({ chaos, runner }) {
    const instance = one(chaos, runner);
    await instance.kill();
    await chaos.rest(0, 1_000);
    instance.start();
  },

  async killAll({ runner }) {
    await Promise.all(runner.instances.map((instance) => instance.kill()));
    await runner.is("UNKNOWN");
    for (const instance of runner.instances) instance.start();
  },

  async freeze({ chaos, runner }) {
    const instance = one(chaos, runner);
    instance.signal("SIGSTOP");
    await chaos.rest(500, 5_000);
    instance.signal("SIGCONT");
  },

  async cut({ chaos, runner }) {
    const { proxy } = one(chaos, runner);
    for (let i = 0; i < 5; i++) {
      proxy.cutAll();
      await chaos.rest(50, 500);
    }
  },

  async garble({ chaos, runner }) {
    const { proxy } = one(chaos, runner);
    const cutAfterBytes = chaos.pick(1, 200, 2_000);
    proxy.treat = (no) => (no % 2 === 0 ? { cutAfterBytes } : { duplicate: true });
    proxy.cutAll();
    await chaos.rest(1_000, 4_000);
    proxy.treat = () => ({});
    proxy.cutAll();
  },

  async refreshSecret({ chaos, runner }) {
    await runner.isBusy();
    for (const instance of runner.instances) instance.release(); // one that has not been let in yet is turned away
    const old = await runner.refreshSecret();
    const status = await eventually("the old secret is tried", () => tokenStatus(chaos, old));
    if (status !== 401) chaos.violate(`G24 the old secret of ${runner.name} is answered with ${status}`);
    for (const instance of runner.instances) {
      if (chaos.random() < 0.5) await instance.stop();
      else await instance.kill();
      instance.start();
    }
  },

  async loseDisk({ chaos, runner }) {
    const instance = one(chaos, runner);
    await instance.kill();
    instance.loseDisk();
    instance.start();
  },
};

/** What happens to all at once. */
export const disasters: Readonly<Record<string, (chaos: Chaos) => Promise<void>>> = {
  async apiKilled({ maia }) {
    await maia.part("api").kill();
    maia.spawn("api");
    await answersAgain(maia);
  },

  async apiRestarted({ maia }) {
    await maia.part("api").stop();
    maia.spawn("api");
    await answersAgain(maia);
  },

  async engineKilled({ maia }) {
    await maia.part("engine").kill();
    maia.spawn("engine");
  },
};

/** How long a process may take to start on a machine that is busy. In milliseconds. */
const START_MS = 120_000;

/** @throws {Error} with what the API has said where it does not */
async function answersAgain({ url, processes }: Chaos["maia"]): Promise<void> {
  const isReady = async () => (await fetch(`${url}/readyz`)).ok;
  try {
    await eventually("the API answers again", isReady, START_MS);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${processes.get("api")?.log}`, { cause: error });
  }
}

/** The restricted runner is closed to one environment for a while. */
export async function fence(chaos: Chaos, runner: FleetRunner): Promise<void> {
  await allow(chaos, runner, ["default"]);
  const from = Date.now();
  await chaos.rest(1_000, 3_000);
  chaos.fences.push({ runnerId: runner.id, calmFrom: from, from, to: Date.now() });
  await allow(chaos, runner, ["default", "fenced"]);
}

export async function allow(chaos: Chaos, { id }: FleetRunner, environments: readonly string[]): Promise<void> {
  await chaos.ask("PUT", `/v1/runners/${id}/allowlist`, { projects: { default: { environments } } });
}

function one(chaos: Chaos, { instances }: FleetRunner): Instance {
  return chaos.pick(...instances);
}

/** @throws {Error} while there is no API that could say so */
async function tokenStatus(
  chaos: Chaos,
  { MAIA_CLIENT_ID, MAIA_CLIENT_SECRET }: Record<string, string>,
): Promise<number> {
  const response = await fetch(`${chaos.maia.url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: MAIA_CLIENT_ID!,
      client_secret: MAIA_CLIENT_SECRET!,
    }),
  });
  if (response.status >= 500) throw new Error(`${response.status}`);
  return response.status;
}
