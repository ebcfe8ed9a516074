import { newSecret } from "@maia/api";
import { type Db, findRunner, HOSTED_RUNNER, openPool, type RunnerRow } from "@maia/db";
import { type SecretBox, SecretError } from "@maia/secrets";
import type { Logger } from "@maia/service";

export interface PoolCredentials {
  readonly runnerId: string;
  readonly secret: string;
}

/** What the hosted runner's processes prove themselves with: kept sealed in the database, and made where it is missing. */
export async function poolCredentials(db: Db, secrets: SecretBox, logger: Logger, now: Date): Promise<PoolCredentials> {
  for (;;) {
    const runner = await findRunner(db.sql, HOSTED_RUNNER);
    if (!runner) throw new Error("the hosted runner is missing from the database");
    const secret = await openSecret(runner, secrets, logger);
    if (secret !== null) return { runnerId: runner.id, secret };
    const { credentials, stored } = await newSecret(secrets, runner.id);
    const isOurs = await db.write((tx) => openPool(tx, runner, stored, now));
    if (isOurs) return { runnerId: runner.id, secret: credentials.clientSecret };
  }
}

/** Null: there is none, or none that can be read, and nobody but the pool needs it. */
async function openSecret(runner: RunnerRow, secrets: SecretBox, logger: Logger): Promise<string | null> {
  const { id, secretSealed: sealed, secretKeyId: keyId } = runner;
  if (sealed === null || keyId === null) return null;
  try {
    return await secrets.open({ runnerId: id }, { sealed, keyId });
  } catch (error) {
    if (!(error instanceof SecretError)) throw error;
    logger.warn("the hosted pool gets a new secret", { error: error.message });
    return null;
  }
}
