import type { InstanceView } from "@maia/db";
import { anyObject, choice, integer, list, map, named, nullable, type Of, object, text } from "../http/shapes.js";
import { id, iso, moment } from "./common.js";

const count = integer(0, Number.MAX_SAFE_INTEGER);

export const instance = named(
  "RunnerInstance",
  object({
    id: id("ins"),
    generation: integer(1, Number.MAX_SAFE_INTEGER),
    status: choice(["RUNNING", "STOPPING", "SILENT", "STOPPED"]),
    protocol: text(),
    version: text(),
    slots: count,
    labels: map(text(), 1_000),
    isolation: text(),
    capabilities: list(text(), 1_000),
    free: count,
    running: count,
    load: anyObject,
    helloAt: moment,
    lastSeenAt: moment,
    stoppingAt: nullable(moment),
    stoppedAt: nullable(moment),
  }),
);

export function presentInstance(view: InstanceView): Of<typeof instance> {
  const { silentAt, stoppingAt, stoppedAt } = view;
  return {
    id: view.id,
    generation: view.generation,
    status: stoppedAt ? "STOPPED" : silentAt ? "SILENT" : stoppingAt ? "STOPPING" : "RUNNING",
    protocol: view.protocol,
    version: view.version,
    slots: view.slots,
    labels: JSON.parse(view.labels),
    isolation: view.isolation,
    capabilities: JSON.parse(view.capabilities),
    free: view.free,
    running: view.running,
    load: JSON.parse(view.load),
    helloAt: iso(view.helloAt),
    lastSeenAt: iso(view.lastSeenAt),
    stoppingAt: iso(stoppingAt),
    stoppedAt: iso(stoppedAt),
  };
}
