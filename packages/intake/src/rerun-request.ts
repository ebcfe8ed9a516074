import { invalid, type JsonObject, nameProblem, Reader } from "@maia/domain";

/** What `POST /v1/runs/{id}/rerun` asks for; all of it may be left out, which is the whole run with the same params. */
export interface RerunRequest {
  readonly params: JsonObject | null;
  /** The step to begin with. */
  readonly from: string | null;
  /** The one attempt to do again. */
  readonly attemptId: string | null;
}

const FIELDS = ["params", "from", "attemptId"] as const;
const REF_MAX = 255;

/** Reads the request for a re-run. @throws {MaiaError} INVALID with a pointer for each fault. */
export function parseRerunRequest(value: unknown): RerunRequest {
  const request = Reader.read(value, (root) => {
    const field = root.object(FIELDS);
    return {
      params: field("params").isAbsent ? null : field("params").jsonObject(),
      from: readRef(field("from")),
      attemptId: readRef(field("attemptId")),
    };
  });
  const { params, from, attemptId } = request;
  if (from !== null && attemptId !== null) {
    throw refused("/attemptId", "cannot stand beside from: begin with a step, or do one attempt again");
  }
  if (params !== null && (from !== null || attemptId !== null)) {
    throw refused(
      "/params",
      "can differ only where the whole run is done again: the results that are reused came from the old ones",
    );
  }
  return request;
}

function readRef(place: Reader): string | null {
  return place.isAbsent ? null : place.string((text) => nameProblem(text, REF_MAX));
}

function refused(pointer: string, message: string) {
  return invalid([{ pointer, message }]);
}
