import { isBlobKnown, keepBlob, touchBlob } from "@maia/db";
import { isSha256, MaiaError } from "@maia/domain";
import { sniffMime } from "@maia/storage";
import { mediaType, refuseEncoding } from "../http/body.js";
import { type Route, route } from "../http/route.js";
import { integer, named, object } from "../http/shapes.js";
import { steadily } from "../http/steadily.js";
import { projectOf } from "../lookup.js";
import { inProject, sha256 } from "../present/common.js";

const blob = named("Blob", object({ sha256, sizeBytes: integer(0, Number.MAX_SAFE_INTEGER) }), {
  sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  sizeBytes: 1234,
});

function hashOf(text: string): string {
  if (isSha256(text)) return text;
  throw new MaiaError("NOT_FOUND", "A blob is named by its SHA-256: 64 hexadecimal digits in lower case");
}

export const blobRoutes: readonly Route[] = [
  route({
    method: "head",
    path: "/v1/blobs/{sha256}",
    operationId: "hasBlob",
    summary: "Whether the content is known in a project that the caller may use; asking keeps it from being collected",
    tag: "Blobs",
    permission: "blobs.write",
    query: inProject,
    answers: { 200: { description: "It is" } },
    handler: async (call) => {
      const { context, caller, params, now } = call;
      const sha256 = hashOf(params.sha256);
      if (call.query.project !== undefined) await projectOf(call, call.query.project);
      const isKnown =
        (await isBlobKnown(context.db.sql, caller.projects, sha256)) && (await context.blobs.touch(sha256));
      if (!isKnown) throw new MaiaError("NOT_FOUND", "The content is not known");
      await context.db.write((tx) => touchBlob(tx, sha256, now));
      return { status: 200 };
    },
  }),
  route({
    method: "put",
    path: "/v1/blobs/{sha256}",
    operationId: "putBlob",
    summary: "Uploads content under its SHA-256",
    tag: "Blobs",
    permission: "blobs.write",
    query: inProject,
    streamed: { content: { "application/octet-stream": { schema: {} } } },
    answers: {
      200: { description: "It was known already", shape: blob },
      201: { description: "It is known now", shape: blob },
    },
    handler: async (call) => {
      const { context, caller, params, req, now } = call;
      const sha256 = hashOf(params.sha256);
      refuseEncoding(req);
      const project = await projectOf(call, call.query.project);
      const maxBytes = context.config.constants.uploadFileMax;
      if (Number(req.headers["content-length"] ?? 0) > maxBytes) {
        throw new MaiaError("TOO_LARGE", `The content is larger than ${maxBytes} bytes`);
      }
      const bytes = steadily(req, context.config.uploadIdleMs);
      const { sizeBytes } = await context.blobs.put(bytes, { expectSha256: sha256, maxBytes });
      const wasKnown = await isBlobKnown(context.db.sql, caller.projects, sha256);
      const mime = await sniffMime(context.blobs.path(sha256), { declared: mediaType(req).type });
      await context.db.write((tx) => keepBlob(tx, { sha256, sizeBytes, mime }, project.id, now));
      return {
        status: wasKnown ? 200 : 201,
        body: { sha256, sizeBytes },
        headers: { Location: `/v1/blobs/${sha256}` },
      };
    },
  }),
];
