import { type RunnerRow, toDbTime } from "@maia/db";
import { newId } from "@maia/domain";
import type { TestApi } from "./support.js";

/** What a test may say about an instance; the rest is as a healthy one's. */
export interface InstancePart {
  readonly version?: string;
  readonly capabilities?: readonly string[];
  readonly silentAt?: Date;
  readonly stoppingAt?: Date;
  readonly stoppedAt?: Date;
}

/** The row of a process of a runner, as the gateway leaves it after a hello. */
export async function anInstance(api: TestApi, runnerId: string, part: InstancePart = {}): Promise<string> {
  const id = newId("instance", api.now);
  const { version = "1.0.0", capabilities = ["connectivity"], silentAt, stoppingAt, stoppedAt } = part;
  const at = (moment: Date | undefined) => (moment ? toDbTime(moment) : null);
  await api.db.write(({ sql }) =>
    sql.run(
      `INSERT INTO "RunnerInstance" ("id", "runnerId", "ledgerId", "generation", "secretVersion", "protocol", "version", "slots", "isolation",
         "capabilities", "helloAt", "lastSeenAt", "silentAt", "stoppingAt", "stoppedAt") VALUES (?, ?, ?, 1, 1, '1.0', ?, 4, 'sandbox', ?, ?, ?, ?, ?, ?)`,
      ...[id, runnerId, `ledger-${id}`, version, JSON.stringify(capabilities), toDbTime(api.now), toDbTime(api.now)],
      ...[at(silentAt), at(stoppingAt), at(stoppedAt)],
    ),
  );
  return id;
}

/** A runner that was made over the API, with its credentials. */
export async function aRunner(api: TestApi, part: object = {}) {
  const { status, json } = await api.post("/v1/runners", { name: "east", platform: "self_managed", ...part });
  if (status !== 201) throw new Error(`the runner was not made: ${JSON.stringify(json)}`);
  return json as { id: string; name: string; credentials: { clientId: string; clientSecret: string } };
}

/** The row of a runner, removed or not. */
export async function rowOf(api: TestApi, id: string): Promise<RunnerRow & { deletedAt: string | null }> {
  return (await api.db.sql.get<RunnerRow & { deletedAt: string | null }>(`SELECT * FROM "Runner" WHERE "id" = ?`, id))!;
}

/** What the audit log has of actions on a target, oldest first. */
export async function auditOf(api: TestApi, target: string): Promise<string[]> {
  const rows = await api.db.sql.all<{ action: string; outcome: string }>(
    `SELECT "action", "outcome" FROM "AuditEvent" WHERE "target" = ? ORDER BY "seq"`,
    target,
  );
  return rows.map(({ action, outcome }) => (outcome === "ok" ? action : `${action} ${outcome}`));
}

/** The kinds of `runner_status` that were told, oldest first. */
export async function statusesTold(api: TestApi, runnerId: string): Promise<string[]> {
  const rows = await api.db.sql.all<{ data: string }>(
    `SELECT "data" FROM "LogEvent" WHERE "kind" = 'runner_status' ORDER BY "id"`,
  );
  return rows
    .map(({ data }) => JSON.parse(data))
    .filter((told) => told.runnerId === runnerId)
    .map(({ status }) => status);
}
