import { type Business, isOverloaded } from "./instance-load.js";
import { type InstanceFacts, isConnected } from "./runner.js";

/** What an instance has room for, as far as Maia knows. */
export interface InstanceRoom extends InstanceFacts, Business {
  readonly id: string;
  readonly ledgerId: string;
  /** Attempts that are bound to it and have not ended. */
  readonly bound: number;
}

/** Why a step has to wait for its runner. */
export type WaitReason =
  | "RUNNER_PAUSED"
  | "RUNNER_NOT_CONNECTED"
  | "RUNNER_STOPPING"
  | "RUNNER_OVERLOADED"
  | "RUNNER_BUSY";

export type Choice =
  | { readonly instance: InstanceRoom; readonly wait?: undefined }
  | { readonly instance?: undefined; readonly wait: WaitReason };

/** The instance that a new task goes to: of those with room, the one with the largest share of it, or else with the most. */
export function chooseInstance(instances: readonly InstanceRoom[]): Choice {
  const connected = instances.filter(isConnected);
  if (connected.length === 0) return { wait: "RUNNER_NOT_CONNECTED" };
  const staying = connected.filter(({ stoppingAt }) => stoppingAt === null);
  if (staying.length === 0) return { wait: "RUNNER_STOPPING" };
  const roomy = staying.filter(hasRoom);
  if (roomy.length === 0) return { wait: "RUNNER_BUSY" };
  const calm = roomy.filter((instance) => !isOverloaded(instance));
  const [best] = calm.sort((a, b) => share(b) - share(a) || b.slots - a.slots || (a.id < b.id ? -1 : 1));
  return best ? { instance: best } : { wait: "RUNNER_OVERLOADED" };
}

/** Where the next member of an open transaction goes: to its instance, also while that is paused or about to stop. */
export function chooseBound(instance: InstanceRoom): Choice {
  if (!isConnected(instance)) return { wait: "RUNNER_NOT_CONNECTED" };
  return hasRoom(instance) ? { instance } : { wait: "RUNNER_BUSY" };
}

function hasRoom({ slots, bound }: InstanceRoom): boolean {
  return bound < slots;
}

function share({ slots, bound }: InstanceRoom): number {
  return (slots - bound) / slots;
}
