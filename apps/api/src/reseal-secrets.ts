import { type Db, secretsUnderOtherKeys, updateSealed } from "@maia/db";
import { type SecretBox, SecretError } from "@maia/secrets";
import type { Logger } from "@maia/service";

/**
 * Puts under the current key what is under an older one, so that the older one can be dropped; the values themselves stay
 * as they are stored. A secret that cannot be read stays too, and is named in the log: its key may come back.
 */
export async function resealSecrets(db: Db, secrets: SecretBox, logger: Logger): Promise<void> {
  const rows = await secretsUnderOtherKeys(db.sql, (await secrets.currentKeyId()) ?? "");
  for (const row of rows) {
    try {
      const next = await secrets.rewrap(row, row);
      await db.write((tx) => updateSealed(tx, row, next));
      logger.info("a secret was encrypted anew with the current key", about(row));
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      logger.error(error.message, about(row));
    }
  }
}

function about({ environmentId, name }: { readonly environmentId: string; readonly name: string }): object {
  return { environmentId, variable: name };
}
