import { readUpstream, renderInput, type Tx } from "@maia/db";

/** The text of an attempt's `input.json`, from the facts that stand when it opens. */
export async function inputText(
  tx: Pick<Tx, "sql">,
  runId: string,
  stepKey: string,
  attemptNo: number,
  deps: readonly string[],
): Promise<string> {
  const row = await tx.sql.get<{ initialInput: string }>(`SELECT "initialInput" FROM "Run" WHERE "id" = ?`, runId);
  const upstream = await readUpstream(tx.sql, runId, deps);
  return renderInput({ runId, stepKey, attemptNo, initialInput: row?.initialInput ?? "{}", upstream });
}
