import { readFileSync } from "node:fs";
import { allReleases, findRunner, type RunnerRow, type RunnerView, viewRunner } from "@maia/db";
import { type AllowList, MaiaError } from "@maia/domain";
import type { Caller } from "../auth.js";
import type { Call } from "../http/route.js";
import { found } from "../lookup.js";
import { type Presenting, presentRunner } from "../present/runner.js";

const own = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };

/** True where a caller may know of a runner: it takes jobs of one of their projects. */
export function canSeeRunner({ projects }: Caller, { restricted, allowlist }: RunnerRow): boolean {
  if (projects === null || restricted === 0) return true;
  const list: AllowList = JSON.parse(allowlist);
  return projects.some((id) => Object.hasOwn(list.projects, id));
}

/** The runner that a request names, by id or by name. @throws {MaiaError} NOT_FOUND */
export async function visibleRunner({ context, caller }: Call, ref: string): Promise<RunnerRow> {
  const row = await findRunner(context.db.sql, ref);
  return found(row && canSeeRunner(caller, row) ? row : null, "runner");
}

/**
 * The runner that a request is to manage. Runners serve every project, so to a key for some of them they are not there.
 * @throws {MaiaError} NOT_FOUND
 */
export async function managedRunner({ context, caller }: Call, ref: string): Promise<RunnerRow> {
  return found(caller.projects === null ? await findRunner(context.db.sql, ref) : null, "runner");
}

/** @throws {MaiaError} FORBIDDEN for a key of some projects. */
export function requireAllProjects({ caller }: Call): void {
  if (caller.projects === null) return;
  throw new MaiaError("FORBIDDEN", "Runners serve every project; this takes a key for all of them");
}

/** @throws {MaiaError} RUNNER_MANAGED for the runner that is Maia's own. */
export function requireUnmanaged({ platform, name }: RunnerRow, what: string): void {
  if (platform !== "hosted") return;
  throw new MaiaError("RUNNER_MANAGED", `The runner ${name} is Maia's own: ${what}`);
}

/** A runner as it is answered now. */
export async function describeRunner(call: Call, row: RunnerRow) {
  const view = await viewRunner(call.context.db.sql, row);
  return { view, body: presentRunner(view, await presenting(call)) };
}

/** What presenting runners needs. */
export async function presenting({ context, now }: Call): Promise<Presenting> {
  const { pauseAutoResumeMs: autoResumeMs } = context.config.constants;
  return { releases: await allReleases(context.db.sql), autoResumeMs, now, ownVersion: own.version };
}

/** What of a view tells that work would be lost with the runner. */
export function workOf({ sight }: RunnerView) {
  const { inFlight, openTransactions } = sight.facts;
  return { inFlight, openTransactions, queued: sight.queued };
}
