import { sha256Hex } from "@maia/domain";
import type { Sql } from "./types.js";

/** Names of the artifacts that Maia itself leaves for every attempt. */
export const INPUT_ARTIFACT = "input.json";
export const OUTPUT_ARTIFACT = "output.json";

/** What a system artifact is written from. The facts never change once the attempt has started, so neither do the bytes. */
export interface InputFacts {
  readonly runId: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  /** JSON text. */
  readonly initialInput: string;
  /** JSON text of the data of each step named in `deps`, in that order. */
  readonly upstream: readonly (readonly [stepKey: string, data: string])[];
}

/** The text of `input.json`. Paths of files are relative to the run directory; an executor makes them absolute for its step. */
export function renderInput(facts: InputFacts): string {
  const upstream = facts.upstream.map(([key, data]) => `${JSON.stringify(key)}:${data}`).join(",");
  const head = JSON.stringify({ runId: facts.runId, stepKey: facts.stepKey, attemptNo: facts.attemptNo });
  return `${head.slice(0, -1)},"initialInput":${facts.initialInput},"upstream":{${upstream}}}`;
}

/** The text of `output.json`: the step's data, wrapped. `data` is JSON text, `finishedAt` RFC 3339 in UTC. */
export function renderOutput(data: string, finishedAt: string): string {
  return `{"ok":true,"timestamp":"${finishedAt}","data":${data}}`;
}

/** Size and hash of a text as an artifact names them. */
export function measure(text: string): { sha256: string; sizeBytes: number } {
  return { sha256: sha256Hex(text), sizeBytes: Buffer.byteLength(text) };
}

/** Writes a system artifact again from the rows that it says. Null: the attempt left none of that name. */
export async function readSystemArtifact(sql: Sql, attemptId: string, name: string): Promise<string | null> {
  const row = await sql.get<{
    runId: string;
    stepKey: string;
    no: number;
    output: string | null;
    finishedAt: string | null;
    initialInput: string;
    workflowSnap: string;
  }>(
    `SELECT a."runId", a."stepKey", a."no", a."output", a."finishedAt", r."initialInput", v."workflowSnap"
     FROM "Attempt" a JOIN "Run" r ON r."id" = a."runId" JOIN "WorkflowVersion" v ON v."id" = r."workflowVersionId" WHERE a."id" = ?`,
    attemptId,
  );
  if (!row) return null;
  if (name === OUTPUT_ARTIFACT) {
    if (row.output === null || row.finishedAt === null) return null;
    return renderOutput(row.output, new Date(row.finishedAt).toISOString());
  }
  if (name !== INPUT_ARTIFACT) return null;
  const steps: { key: string; deps: string[] }[] = JSON.parse(row.workflowSnap).steps;
  const deps = steps.find((step) => step.key === row.stepKey)?.deps ?? [];
  const upstream = await readUpstream(sql, row.runId, deps);
  return renderInput({
    runId: row.runId,
    stepKey: row.stepKey,
    attemptNo: row.no,
    initialInput: row.initialInput,
    upstream,
  });
}

/** The data of the steps that a step depends on, as JSON text; in a re-run also what it reuses. */
export async function readUpstream(sql: Sql, runId: string, deps: readonly string[]): Promise<[string, string][]> {
  const upstream: [string, string][] = [];
  for (const key of deps) {
    const row =
      (await sql.get<{ output: string }>(OWN, runId, key)) ?? (await sql.get<{ output: string }>(REUSED, runId, key));
    if (row) upstream.push([key, row.output]);
  }
  return upstream;
}

const OWN = `SELECT "output" FROM "Attempt" WHERE "runId" = ? AND "stepKey" = ? AND "status" = 'SUCCEEDED'`;
const REUSED = `SELECT a."output" FROM "RunStep" s JOIN "Attempt" a ON a."id" = s."reusedAttemptId" WHERE s."runId" = ? AND s."key" = ?`;
