import { randomBytes } from "node:crypto";
import { type RunnerRow, replaceSecret, type StoredClientSecret, tellRunnerStatus } from "@maia/db";
import { MaiaError, sha256Hex } from "@maia/domain";
import { type SecretBox, SecretError } from "@maia/secrets";
import type { Call } from "../http/route.js";
import { noted } from "./noted.js";

const SECRET_BYTES = 32;

/** What a runner proves itself with. */
export interface Credentials {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A new secret for a runner, and how it is stored. */
export async function newSecret(
  secrets: SecretBox,
  runnerId: string,
): Promise<{ readonly credentials: Credentials; readonly stored: StoredClientSecret }> {
  const clientSecret = `mcs_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const { keyId, sealed } = await secrets.seal({ runnerId }, clientSecret);
  const stored = { secretHash: sha256Hex(clientSecret), secretSealed: sealed, secretKeyId: keyId };
  return { credentials: { clientId: runnerId, clientSecret }, stored };
}

/** Shows a runner's secret again, and notes who has seen it. @throws {MaiaError} STATE_CONFLICT where it cannot be read. */
export async function revealCredentials(
  call: Call,
  { id, secretSealed, secretKeyId }: RunnerRow,
): Promise<Credentials> {
  const { context } = call;
  const sealed = { sealed: secretSealed ?? "", keyId: secretKeyId ?? "" };
  const clientSecret = await context.secrets.open({ runnerId: id }, sealed).catch((error) => {
    if (!(error instanceof SecretError)) throw error;
    throw new MaiaError("STATE_CONFLICT", `${error.message}. SECRET_REFRESH makes another one`, { cause: error });
  });
  await context.db.write((tx) => noted(tx, call, id, { action: "SECRET_REVEAL" }));
  return { clientId: id, clientSecret };
}

/** Puts a new secret in place of a runner's. The old one is refused at once. */
export async function refreshSecret(call: Call, runner: RunnerRow): Promise<Credentials> {
  const { context, now } = call;
  const { credentials, stored } = await newSecret(context.secrets, runner.id);
  await context.db.write(async (tx) => {
    await replaceSecret(tx, runner.id, stored, now);
    await noted(tx, call, runner.id, { action: "SECRET_REFRESH" });
    await tellRunnerStatus(tx, runner, context.config.constants.pauseAutoResumeMs, now);
  });
  return credentials;
}
