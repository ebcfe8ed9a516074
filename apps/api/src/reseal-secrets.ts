import {
  type Db,
  runnersUnderOtherKeys,
  secretsUnderOtherKeys,
  updateSealed,
  updateSealedClientSecret,
} from "@maia/db";
import { type SealedSecret, type SecretBox, SecretError, type SecretPlace } from "@maia/secrets";
import type { Logger } from "@maia/service";

/**
 * Puts under the current key what is under an older one, so that the older one can be dropped; the values themselves stay
 * as they are stored. A secret that cannot be read stays too, and is named in the log: its key may come back.
 */
export async function resealSecrets(db: Db, secrets: SecretBox, logger: Logger): Promise<void> {
  const keyId = (await secrets.currentKeyId()) ?? "";
  for (const row of await secretsUnderOtherKeys(db.sql, keyId)) {
    const { projectId, environmentId, name } = row;
    const store = (next: SealedSecret) => db.write((tx) => updateSealed(tx, row, next));
    const place = { projectId, environmentId, name };
    await reseal({ place, old: row, store, about: { environmentId, variable: name } });
  }
  for (const row of await runnersUnderOtherKeys(db.sql, keyId)) {
    const old = { keyId: row.secretKeyId!, sealed: row.secretSealed! };
    const store = (next: SealedSecret) => db.write((tx) => updateSealedClientSecret(tx, row, next));
    await reseal({ place: { runnerId: row.id }, old, store, about: { runnerId: row.id } });
  }

  async function reseal({ place, old, store, about }: Resealing): Promise<void> {
    try {
      await store(await secrets.rewrap(place, old));
      logger.info("a secret was put under the current key", about);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      logger.error(error.message, about);
    }
  }
}

interface Resealing {
  readonly place: SecretPlace;
  readonly old: SealedSecret;
  readonly store: (next: SealedSecret) => Promise<void>;
  /** What the log says of it. */
  readonly about: object;
}
