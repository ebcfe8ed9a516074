import { appendAudit, type Db, listAudit } from "@maia/db";

const ACTION = "isolation.change";

/**
 * Puts into the audit log how strongly steps are shut in, whenever that is not what an engine noted before: an upgrade of
 * the host, or a setting, can weaken it without anybody having asked Maia.
 */
export function noteIsolation(db: Db, level: string, now: Date): Promise<void> {
  return db.write(async (tx) => {
    const { items } = await listAudit(tx.sql, { action: ACTION }, { cursor: null, limit: 1 });
    if (items[0]?.target === level) return;
    const detail = { before: items[0]?.target ?? null };
    await appendAudit(tx, { actor: "engine", action: ACTION, target: level, outcome: "ok", detail }, now);
  });
}
