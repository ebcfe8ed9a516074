import type { ActivityView } from "@maia/db";
import { anyObject, named, type Of, object, text } from "../http/shapes.js";
import { id, iso, moment } from "./common.js";

export const activity = named(
  "RunnerActivity",
  object({
    id: id("act"),
    at: moment,
    actor: text({ description: "The id of an API key, `runner` or `maia`" }),
    action: text(),
    note: text(),
    data: anyObject,
  }),
);

export function presentActivity({ id, at, actor, action, note, data }: ActivityView): Of<typeof activity> {
  return { id, at: iso(at), actor, action, note, data: JSON.parse(data) };
}
