import type { IncomingMessage } from "node:http";
import type { Call } from "./http/route.js";

const WAIT_MAX_S = 60;

/** How long the request prefers to wait, in milliseconds (RFC 7240); null: not at all. */
export function waitOf(req: IncomingMessage): number | null {
  const header = req.headers.prefer;
  const text = (Array.isArray(header) ? header.join(",") : header) ?? "";
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:[,;]|$)/i.exec(text)?.[1];
  return seconds === undefined ? null : Math.min(Number(seconds), WAIT_MAX_S) * 1_000;
}

/** Says that the preference was followed. */
export function appliedWait(waitMs: number | null): Record<string, string> {
  return waitMs === null ? {} : { "Preference-Applied": `wait=${waitMs / 1_000}` };
}

/** Waits until the job has ended, the time is over, the caller has gone, or the server stops. */
export async function waitForEnd({ context, res }: Call, jobId: string, waitMs: number): Promise<void> {
  const { hub, db, stopping } = context;
  const { promise: over, resolve: leave } = Promise.withResolvers<void>();
  const timer = setTimeout(leave, waitMs);
  const look = async () => {
    const job = await db.sql.get<{ finishedAt: string | null }>(
      `SELECT "finishedAt" FROM "JobRun" WHERE "id" = ?`,
      jobId,
    );
    if (!job || job.finishedAt !== null) leave();
  };
  const unwatch = await hub.watchJobs(() => void look().catch(leave));
  res.once("close", leave);
  stopping.addEventListener("abort", () => leave(), { once: true });
  try {
    await look();
    await over;
  } finally {
    clearTimeout(timer);
    unwatch();
  }
}
