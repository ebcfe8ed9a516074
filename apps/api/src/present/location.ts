import type { StoredAfar } from "@maia/db";
import { dataResidencies } from "@maia/domain";
import { choice, named, type Of, object, optional, text } from "../http/shapes.js";
import { id } from "./common.js";

/** Where bytes are. They are asked for in the same way wherever that is. */
export const location = named(
  "Location",
  object(
    {
      residency: choice(dataResidencies),
      runnerId: optional(id("rnr")),
      runnerName: optional(text()),
    },
    { description: "Where the bytes are: with Maia, or kept by the runner that is named" },
  ),
  { residency: "runner", runnerId: "rnr_01kc1x0000000000000000000a", runnerName: "eu-1" },
);

export function presentLocation(afar: StoredAfar | undefined): Of<typeof location> {
  if (!afar) return { residency: "maia" };
  return { residency: "runner", runnerId: afar.runnerId, runnerName: afar.runnerName };
}
