import { oldestRunOn, unusedOf } from "@maia/db";
import { MaiaError } from "@maia/domain";
import type { Call } from "../http/route.js";
import type { Of } from "../http/shapes.js";
import { admitInstance, speakerOf } from "./admission.js";
import type { unusedAnswer, unusedQuestion } from "./shapes.js";

type UnusedCall = Call<{ readonly id: string }, unknown, Of<typeof unusedQuestion>>;

/**
 * Which content of its store an instance may remove: nothing refers to it, and nothing will that goes on now. What was put
 * since the oldest run began that goes on with the store may yet be named by a frame; a margin covers clocks that differ.
 */
export async function findUnused({ context, caller, req, params, body }: UnusedCall): Promise<Of<typeof unusedAnswer>> {
  const { db, clock, config } = context;
  const { storeId } = await admitInstance(db.sql, speakerOf(caller, req), params.id);
  if (storeId === null) throw new MaiaError("STATE_CONFLICT", "The hello of this instance has named no store");
  const oldest = await oldestRunOn(db.sql, storeId);
  const runsForMs = oldest === null ? 0 : Math.max(0, clock().getTime() - oldest.getTime());
  const ageMs = runsForMs + config.constants.blobGcAgeMs;
  const old = body.blobs.filter((blob) => blob.ageMs >= ageMs).map(({ sha256 }) => sha256);
  return { unused: await unusedOf(db.sql, storeId, old) };
}
