import { isBlobKnown, keepBlob } from "@maia/db";
import { isSha256, MaiaError } from "@maia/domain";
import { sniffMime } from "@maia/storage";
import { inputText, taskContent } from "@maia/tasks";
import { refuseEncoding } from "../http/body.js";
import { serveFile } from "../http/download.js";
import type { Call, Reply } from "../http/route.js";
import { steadily } from "../http/steadily.js";
import { type Admitted, admitAttempt, type Claim, claimOf, refusedNow } from "./admission.js";

type BlobCall = Call<{ readonly id: string; readonly sha256: string }>;

/** Serves what the task of a live attempt names, and nothing else (C13). HEAD comes here too. */
export async function giveBlob(call: BlobCall): Promise<undefined> {
  const { context, caller, req, params } = call;
  const { db, gateway } = context;
  const { attempt } = await admitAttempt(db.sql, claimOf(caller, req, params.id));
  const { ref, run } = attempt;
  const version = await gateway.snapshots.load(run.versionId);
  const step = version.snapshot.steps.find(({ key }) => key === ref.stepKey);
  const text = await inputText(db, run.id, ref.stepKey, ref.no, step?.deps ?? []);
  const { script, input, files, find } = await taskContent(gateway.sources, run, version, ref, text);
  const isNamed = [script, input, ...files.map((file) => file.sha256)].includes(params.sha256);
  const content = isNamed ? find(params.sha256) : null;
  const sizeBytes = content && ("bytes" in content ? content.bytes.length : await context.blobs.size(params.sha256));
  if (!content || sizeBytes === null) throw new MaiaError("NOT_FOUND", "The task names no such content");
  const bytes = "bytes" in content ? content.bytes : null;
  await serveFile(call, {
    name: params.sha256,
    mime: "application/octet-stream",
    sha256: params.sha256,
    sizeBytes,
    content: bytes,
  });
}

/** Takes the bytes of an artifact, which its project knows from then on. */
export async function takeBlob(call: BlobCall): Promise<Reply> {
  const { context, caller, req, params } = call;
  const { sent } = context.gateway;
  const claim = claimOf(caller, req, params.id);
  const admitted = await admitAttempt(context.db.sql, claim);
  if (admitted.attempt.keptBy)
    throw new MaiaError(
      "STATE_CONFLICT",
      "The bytes of this attempt's artifacts stay in the store that its task named",
    );
  if (!isSha256(params.sha256)) throw new MaiaError("NOT_FOUND", "Content is named by its SHA-256 in lower case");
  refuseEncoding(req);
  const length = req.headers["content-length"];
  const maxBytes = sent.reserve(params.id, length === undefined ? null : Number(length), context.config.constants);
  let fresh: number | null = null;
  try {
    const { sizeBytes, wasKnown } = await keepBytes(call, claim, admitted, maxBytes);
    fresh = wasKnown ? null : sizeBytes;
    return { status: wasKnown ? 200 : 201, body: { sha256: params.sha256, sizeBytes } };
  } finally {
    sent.settle(params.id, maxBytes, fresh);
  }
}

async function keepBytes(
  { context, req, params: { sha256 }, now }: BlobCall,
  claim: Claim,
  { attempt, instance }: Admitted,
  maxBytes: number,
): Promise<{ readonly sizeBytes: number; readonly wasKnown: boolean }> {
  const { db, blobs, config } = context;
  const { projectId } = attempt.ref;
  const { sizeBytes } = await blobs.put(steadily(req, config.uploadIdleMs), { expectSha256: sha256, maxBytes });
  const wasKnown = await isBlobKnown(db.sql, [projectId], sha256);
  const mime = await sniffMime(blobs.path(sha256), {});
  await db.write(async (tx) => {
    const current = await admitAttempt(tx.sql, claim); // it may have ended while the bytes came
    if (current.instance.secretVersion !== instance.secretVersion) throw refusedNow();
    await keepBlob(tx, { sha256, sizeBytes, mime }, projectId, now);
  });
  return { sizeBytes, wasKnown };
}
