import { below, invalid, Reader, readVersionMessage } from "@maia/domain";
import type { IntakeContext } from "./context.js";
import { type Frozen, freezeBundle, freezeDefinition } from "./freeze.js";

/** What `POST …/versions` asks for. */
export interface VersionRequest {
  readonly message: string;
  /** False: only jobs that name the version get it. */
  readonly latest: boolean;
  /** A definition or a bundle as it came; with neither the draft is meant. */
  readonly definition: unknown;
  readonly bundle: unknown;
}

/** Reads the request for a version. @throws {MaiaError} INVALID */
export function parseVersionRequest(value: unknown): VersionRequest {
  const request = Reader.read(value, (root) => {
    const field = root.object(["message", "latest", "definition", "bundle"]);
    return {
      message: readVersionMessage(field("message")),
      latest: field("latest").boolean(true),
      definition: field("definition").value,
      bundle: field("bundle").value,
    };
  });
  if (request.definition !== undefined && request.bundle !== undefined) {
    throw invalid([{ pointer: "/bundle", message: "cannot stand beside definition: send one of them" }]);
  }
  return request;
}

/** Checks what the version is to be made of; null is the draft. @throws {MaiaError} with pointers into the request */
export async function freezeRequest(
  schemas: IntakeContext["schemas"],
  { definition, bundle }: VersionRequest,
  slug: string,
): Promise<Frozen | null> {
  const rejectBelow = (pointer: string) => (error: unknown) => Promise.reject(below(pointer, error));
  if (definition !== undefined) return freezeDefinition(schemas, definition, slug).catch(rejectBelow("/definition"));
  if (bundle !== undefined) return freezeBundle(schemas, bundle, slug).catch(rejectBelow("/bundle"));
  return null;
}
