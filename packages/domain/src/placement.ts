import { type Business, isOverloaded } from "./instance-load.js";
import { type InstanceFacts, isConnected } from "./runner.js";

/** What an instance has room for, as far as Maia knows. */
export interface InstanceRoom extends InstanceFacts, Business {
  readonly id: string;
  readonly ledgerId: string;
  /** The store in which it can keep data; null: it has none. */
  readonly storeId: string | null;
  /** Attempts that are bound to it and have not ended. */
  readonly bound: number;
}

/** What a step needs of the instance that it goes to: a store to keep its data in, and which one, once that is bound. */
export interface StoreNeed {
  readonly storeId: string | null;
}

/** Why a step has to wait for its runner. */
export type WaitReason =
  | "RUNNER_PAUSED"
  | "RUNNER_NOT_CONNECTED"
  | "RUNNER_KEEPS_NO_DATA"
  | "RUNNER_DATA_AWAY"
  | "RUNNER_STOPPING"
  | "RUNNER_OVERLOADED"
  | "RUNNER_BUSY";

export type Choice =
  | { readonly instance: InstanceRoom; readonly wait?: undefined }
  | { readonly instance?: undefined; readonly wait: WaitReason };

/**
 * The instance that a new task goes to: of those with room, the one with the largest share of it, or else with the most.
 * Where its data stays at the runner (`need`), only those count that have the store.
 */
export function chooseInstance(instances: readonly InstanceRoom[], need: StoreNeed | null = null): Choice {
  const connected = instances.filter(isConnected);
  if (connected.length === 0) return { wait: "RUNNER_NOT_CONNECTED" };
  const able = connected.filter((instance) => hasStore(instance, need));
  if (able.length === 0) return { wait: need?.storeId ? "RUNNER_DATA_AWAY" : "RUNNER_KEEPS_NO_DATA" };
  const staying = able.filter(({ stoppingAt }) => stoppingAt === null);
  if (staying.length === 0) return { wait: "RUNNER_STOPPING" };
  const roomy = staying.filter(hasRoom);
  if (roomy.length === 0) return { wait: "RUNNER_BUSY" };
  const calm = roomy.filter((instance) => !isOverloaded(instance));
  const [best] = calm.sort((a, b) => share(b) - share(a) || b.slots - a.slots || (a.id < b.id ? -1 : 1));
  return best ? { instance: best } : { wait: "RUNNER_OVERLOADED" };
}

/** The instance that brings a file into its store for a run, which takes no slot; null: nobody can now. */
export function chooseKeeper(instances: readonly InstanceRoom[], need: StoreNeed): InstanceRoom | null {
  const able = instances.filter((one) => isConnected(one) && one.stoppingAt === null && hasStore(one, need));
  return able.sort((a, b) => share(b) - share(a) || (a.id < b.id ? -1 : 1))[0] ?? null;
}

/** Where the next member of an open transaction goes: to its instance, also while that is paused or about to stop. */
export function chooseBound(instance: InstanceRoom): Choice {
  if (!isConnected(instance)) return { wait: "RUNNER_NOT_CONNECTED" };
  return hasRoom(instance) ? { instance } : { wait: "RUNNER_BUSY" };
}

/** True for an instance that can keep such data, and has what was kept before. */
export function hasStore({ storeId }: Pick<InstanceRoom, "storeId">, need: StoreNeed | null): boolean {
  return need === null || (storeId !== null && (need.storeId === null || need.storeId === storeId));
}

function hasRoom({ slots, bound }: InstanceRoom): boolean {
  return bound < slots;
}

function share({ slots, bound }: InstanceRoom): number {
  return (slots - bound) / slots;
}
