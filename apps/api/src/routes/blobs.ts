import { isBlobKnown, keepBlob, touchBlob } from "@maia/db";
import { isSha256, MaiaError } from "@maia/domain";
import { sniffMime } from "@maia/storage";
import { mediaType, refuseEncoding } from "../http/body.js";
import { type ContentRange, readContentRange } from "../http/content-range.js";
import { HttpProblem } from "../http/problems.js";
import { type Call, type Reply, type Route, route } from "../http/route.js";
import { integer, named, object } from "../http/shapes.js";
import { steadily } from "../http/steadily.js";
import { projectOf } from "../lookup.js";
import { inProject, sha256 } from "../present/common.js";

const blob = named("Blob", object({ sha256, sizeBytes: integer(0, Number.MAX_SAFE_INTEGER) }), {
  sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  sizeBytes: 1234,
});

const partOfBlob = named(
  "PartOfBlob",
  object({
    sha256,
    sizeBytes: integer(0, Number.MAX_SAFE_INTEGER),
    receivedBytes: integer(0, Number.MAX_SAFE_INTEGER),
  }),
  {
    sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    sizeBytes: 1234,
    receivedBytes: 1000,
  },
);

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
    answers: {
      200: { description: "It is" },
      404: {
        description: "It is not; how many of its bytes have come in parts",
        headers: { "Upload-Offset": "Where the next part begins" },
      },
    },
    handler: async (call) => {
      const { context, params, now } = call;
      const sha256 = hashOf(params.sha256);
      if (call.query.project !== undefined) await projectOf(call, call.query.project);
      if (await isKnownTo(call, sha256)) {
        await context.db.write((tx) => touchBlob(tx, sha256, now));
        return { status: 200 };
      }
      const scope = (await projectOf(call, call.query.project)).id;
      const offset = await context.blobs.uploads.offset({ scope, sha256 });
      throw new HttpProblem("NOT_FOUND", "The content is not known", offsetHeader(offset));
    },
  }),
  route({
    method: "put",
    path: "/v1/blobs/{sha256}",
    operationId: "putBlob",
    summary: "Uploads content under its SHA-256, whole or in parts",
    tag: "Blobs",
    permission: "blobs.write",
    query: inProject,
    requestHeaders: {
      "Content-Range":
        "The part that this request brings, such as `bytes 0-99/500`, which must begin where the last one ended. `bytes */500` brings nothing, and has the 500 bytes that came become the content",
    },
    streamed: { content: { "application/octet-stream": { schema: {} } } },
    answers: {
      200: { description: "It was known already", shape: blob },
      201: { description: "It is known now", shape: blob },
      202: {
        description: "The part is kept, and more is due",
        shape: partOfBlob,
        headers: { "Upload-Offset": "Where the next part begins" },
      },
      409: {
        description: "Another part is due",
        content: { "application/problem+json": { $ref: "#/components/schemas/Problem" } },
        headers: { "Upload-Offset": "Where it begins" },
      },
    },
    handler: async (call) => {
      const sha256 = hashOf(call.params.sha256);
      refuseEncoding(call.req);
      const project = await projectOf(call, call.query.project);
      const range = readContentRange(call.req);
      return range ? putPart(call, sha256, project.id, range) : putWhole(call, sha256, project.id);
    },
  }),
];

async function putWhole(call: Call, sha256: string, projectId: string): Promise<Reply> {
  const { context, req } = call;
  const maxBytes = context.config.constants.uploadFileMax;
  requireWithin(maxBytes, Number(req.headers["content-length"] ?? 0));
  const bytes = steadily(req, context.config.uploadIdleMs);
  const { sizeBytes } = await context.blobs.put(bytes, { expectSha256: sha256, maxBytes });
  return keep(call, { sha256, sizeBytes }, projectId);
}

/** A part of what is known needs not be sent; that of what is not must be the one that is due. */
async function putPart(call: Call, sha256: string, projectId: string, range: ContentRange): Promise<Reply> {
  const { context, req } = call;
  const { blobs, config } = context;
  const upload = { scope: projectId, sha256 };
  requireWithin(config.constants.uploadFileMax, range.total);
  if (await isKnownTo(call, sha256)) {
    await blobs.uploads.drop(upload);
    return keep(call, { sha256, sizeBytes: (await blobs.size(sha256)) ?? range.total }, projectId);
  }
  const bytes = steadily(req, config.uploadIdleMs);
  const put = await blobs.putPart(upload, { ...range, bytes }, range.total).finally(() => bytes.destroy());
  switch (put.state) {
    case "complete":
      return keep(call, put.made, projectId);
    case "kept": {
      const body = { sha256, sizeBytes: range.total, receivedBytes: put.offset };
      return { status: 202, body, headers: offsetHeader(put.offset) };
    }
    case "refused": {
      const message =
        put.offset === range.from
          ? "Another request is sending this content; it can be taken up once that one has fallen silent"
          : `The part begins at byte ${range.from}, but the one that is due at ${put.offset}`;
      throw new HttpProblem("STATE_CONFLICT", message, offsetHeader(put.offset));
    }
  }
}

/** Makes content that is in the store known in the project. */
async function keep(call: Call, blob: { sha256: string; sizeBytes: number }, projectId: string): Promise<Reply> {
  const { context, caller, req, now } = call;
  const { sha256, sizeBytes } = blob;
  const wasKnown = await isBlobKnown(context.db.sql, caller.projects, sha256);
  const mime = await sniffMime(context.blobs.path(sha256), { declared: mediaType(req).type });
  await context.db.write((tx) => keepBlob(tx, { sha256, sizeBytes, mime }, projectId, now));
  return {
    status: wasKnown ? 200 : 201,
    body: { sha256, sizeBytes },
    headers: { Location: `/v1/blobs/${sha256}` },
  };
}

/** Whether the content is there, in a project that the caller may use; asking makes it young again. */
async function isKnownTo({ context, caller }: Call, sha256: string): Promise<boolean> {
  return (await isBlobKnown(context.db.sql, caller.projects, sha256)) && context.blobs.touch(sha256);
}

function requireWithin(maxBytes: number, sizeBytes: number): void {
  if (sizeBytes > maxBytes) throw new MaiaError("TOO_LARGE", `The content is larger than ${maxBytes} bytes`);
}

function offsetHeader(offset: number): Record<string, string> {
  return { "Upload-Offset": String(offset) };
}
