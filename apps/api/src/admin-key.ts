import { open, readFile } from "node:fs/promises";
import { createApiKey, type Db, findApiKeyBySecret } from "@maia/db";
import type { DataDir } from "@maia/storage";

/** What came of looking for the administrator's key. */
export interface AdminKey {
  readonly key: string;
  /** True on the first start of a data directory. */
  readonly isNew: boolean;
}

/**
 * The key with role admin that lies in the data directory, readable for its owner only. It is made on the first start,
 * and again where its file is gone or its database is another one.
 */
export async function ensureAdminKey(db: Db, dataDir: DataDir, now: Date): Promise<AdminKey> {
  const kept = (await readFile(dataDir.adminKey, "utf8").catch(() => "")).trim();
  if (kept && (await findApiKeyBySecret(db, kept, now))) return { key: kept, isNew: false };
  const { presented } = await db.write((tx) => createApiKey(tx, { name: "admin-key", role: "admin" }, now));
  await using file = await open(dataDir.adminKey, "w", 0o600);
  await file.chmod(0o600);
  await file.writeFile(`${presented}\n`);
  await file.sync();
  return { key: presented, isNew: true };
}
