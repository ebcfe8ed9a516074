import type { Release, RunnerTrack } from "@maia/domain";
import { fromCursor, type Page, type PageRequest, toPage } from "./pages.js";
import { fromDbTime, toDbTime } from "./time.js";
import type { Sql, Tx } from "./types.js";

/** A release as it is stored. */
export interface StoredRelease extends Release {
  readonly image: string | null;
}

interface ReleaseRow {
  readonly version: string;
  readonly track: RunnerTrack;
  readonly image: string | null;
  readonly releasedAt: string;
  readonly supportedUntil: string | null;
  readonly securityFix: number;
}

/** Every release: there are a few a week at the most. */
export async function allReleases(sql: Sql): Promise<StoredRelease[]> {
  return (await sql.all<ReleaseRow>(`SELECT * FROM "RunnerRelease"`)).map(fromRow);
}

/** Releases, newest first. */
export async function listReleases(
  sql: Sql,
  track: RunnerTrack | undefined,
  page: PageRequest,
): Promise<Page<StoredRelease>> {
  const key = `"releasedAt" || ' ' || "version" || ' ' || "track"`;
  const before = page.cursor === null ? "~" : fromCursor(page.cursor, /^[\d-]{10}T\S{1,40} \S{1,100} [a-z]+$/);
  const rows = await sql.all<ReleaseRow & { key: string }>(
    `SELECT *, ${key} AS "key" FROM "RunnerRelease" WHERE ${key} < ? AND (? IS NULL OR "track" = ?) ORDER BY 7 DESC LIMIT ?`,
    ...[before, track ?? null, track ?? null, page.limit + 1],
  );
  return toPage(rows, page, (row) => row.key, fromRow);
}

/** Stores a release, in place of the one of that version and track if there is one. False: there was one. */
export async function putRelease(tx: Tx, release: StoredRelease): Promise<boolean> {
  const { version, track, image, releasedAt, supportedUntil, securityFix } = release;
  const until = supportedUntil && toDbTime(supportedUntil);
  const values = [image, toDbTime(releasedAt), until, Number(securityFix)];
  const update = `UPDATE "RunnerRelease" SET "image" = ?, "releasedAt" = ?, "supportedUntil" = ?, "securityFix" = ? WHERE "version" = ? AND "track" = ?`;
  if ((await tx.sql.run(update, ...values, version, track)) > 0) return false;
  const insert = `INSERT INTO "RunnerRelease" ("image", "releasedAt", "supportedUntil", "securityFix", "version", "track") VALUES (?, ?, ?, ?, ?, ?)`;
  await tx.sql.run(insert, ...values, version, track);
  return true;
}

function fromRow({ version, track, image, releasedAt, supportedUntil, securityFix }: ReleaseRow): StoredRelease {
  return {
    version,
    track,
    image,
    releasedAt: fromDbTime(releasedAt),
    supportedUntil: fromDbTime(supportedUntil),
    securityFix: securityFix === 1,
  };
}
