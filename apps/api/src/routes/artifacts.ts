import {
  type ArtifactView,
  findArtifact,
  findInputFile,
  findRunHead,
  findStoredAfar,
  listArtifacts,
  readSystemArtifact,
  type StoredAfar,
} from "@maia/db";
import { serveFile } from "../http/download.js";
import type { Answer, Call } from "../http/route.js";
import { ok, type Route, route } from "../http/route.js";
import { flag, integer, named, type Of, object, text } from "../http/shapes.js";
import { found } from "../lookup.js";
import { id, iso, moment, pageOf, pageRequest, paging, sha256 } from "../present/common.js";
import { location, presentLocation } from "../present/location.js";

export const artifact = named(
  "Artifact",
  object({
    id: id("art"),
    runId: id("run"),
    stepKey: text(),
    attemptNo: integer(1, 1_000_000),
    name: text({ description: "A relative path" }),
    mime: text(),
    sizeBytes: integer(0, Number.MAX_SAFE_INTEGER),
    sha256,
    system: flag({ description: "input.json or output.json of the attempt" }),
    location,
    createdAt: moment,
  }),
  {
    id: "art_01kc1x8n9f2b4d6h8k0m2p4r6t",
    runId: "run_01kc1x8n9f2b4d6h8k0m2p4r6t",
    stepKey: "summarise",
    attemptNo: 1,
    name: "report.md",
    mime: "text/markdown",
    sizeBytes: 1234,
    sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    system: false,
    location: { residency: "maia" },
    createdAt: "2026-11-20T12:00:01.456Z",
  },
);

function presentArtifact(
  { attemptId: _, createdAt, ...rest }: ArtifactView,
  afar: StoredAfar | undefined,
): Of<typeof artifact> {
  return { ...rest, location: presentLocation(afar), createdAt: iso(createdAt) };
}

const contentAnswers: { readonly [status: number]: Answer } = {
  200: {
    description: "The bytes, to be saved",
    content: { "*/*": {} },
    headers: { ETag: "The SHA-256", "Content-Disposition": "The name to save it under" },
  },
  206: {
    description: "The range that was asked for",
    content: { "*/*": {} },
    headers: { "Content-Range": "Which part it is" },
  },
  304: { description: "Not modified" },
};
const rangeHeaders = {
  Range: "One range of bytes",
  "If-None-Match": "The ETag that is known",
  "If-Range": "The ETag that the range belongs to",
};

export const artifactRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runs/{id}/artifacts",
    operationId: "listArtifacts",
    summary: "The artifacts of a run, newest first",
    tag: "Artifacts",
    permission: "runs.read",
    query: paging,
    answers: { 200: { description: "A page of artifacts", shape: pageOf(artifact) } },
    handler: async ({ context, caller, params, query }) => {
      found(await findRunHead(context.db, caller.projects, params.id), "run");
      const page = await listArtifacts(context.db, params.id, pageRequest(query));
      const ids = page.items.map(({ id }) => id);
      const afar = await findStoredAfar(context.db.sql, ids);
      return ok({ ...page, items: page.items.map((view) => presentArtifact(view, afar.get(view.id))) });
    },
  }),
  route({
    method: "get",
    path: "/v1/artifacts/{id}",
    operationId: "getArtifact",
    summary: "An artifact",
    tag: "Artifacts",
    permission: "runs.read",
    answers: { 200: { description: "The artifact", shape: artifact } },
    handler: async ({ context, caller, params }) => {
      const view = found(await findArtifact(context.db, caller.projects, params.id), "artifact");
      const afar = await findStoredAfar(context.db.sql, [view.id]);
      return ok(presentArtifact(view, afar.get(view.id)));
    },
  }),
  route({
    method: "get",
    path: "/v1/artifacts/{id}/content",
    operationId: "getArtifactContent",
    summary: "The bytes of an artifact",
    tag: "Artifacts",
    permission: "runs.read",
    requestHeaders: rangeHeaders,
    answers: contentAnswers,
    handler: async (call) => {
      const artifact = found(await findArtifact(call.context.db, call.caller.projects, call.params.id), "artifact");
      const [content, afar] = [await rendered(call, artifact), await whereIs(call, artifact.id)];
      await serveFile(call, { ...artifact, content, afar });
      return undefined;
    },
  }),
  route({
    method: "get",
    path: "/v1/files/{id}/content",
    operationId: "getFileContent",
    summary: "The bytes of an input file",
    tag: "Artifacts",
    permission: "runs.read",
    requestHeaders: rangeHeaders,
    answers: contentAnswers,
    handler: async (call) => {
      const file = found(await findInputFile(call.context.db, call.caller.projects, call.params.id), "file");
      const sha256 = found(file.sha256, "content yet");
      const { name, mime, sizeBytes } = file;
      await serveFile(call, {
        name,
        mime: mime ?? "application/octet-stream",
        sha256,
        sizeBytes: sizeBytes ?? 0,
        content: null,
        afar: await whereIs(call, file.id),
      });
      return undefined;
    },
  }),
];

async function whereIs({ context }: Call, ownerId: string): Promise<StoredAfar | null> {
  return (await findStoredAfar(context.db.sql, [ownerId])).get(ownerId) ?? null;
}

/** A system artifact is written again from the rows that it says; the bytes of any other are a blob. */
async function rendered({ context }: Call, artifact: ArtifactView): Promise<Uint8Array | null> {
  if (!artifact.system) return null;
  const text = await readSystemArtifact(context.db.sql, artifact.attemptId, artifact.name);
  return text === null ? null : Buffer.from(text);
}
