import {
  isEnginesOwn,
  type JobView,
  type RunnerView,
  readRooms,
  runnerById,
  type Sql,
  storeNeedOfJob,
  viewRunner,
} from "@maia/db";
import {
  type AllowList,
  chooseInstance,
  type InstanceRoom,
  isAllowed,
  isConnected,
  isPaused,
  pausedUntil,
  runnerStatus,
} from "@maia/domain";
import type { Reason } from "./why.js";

/** Why a job's runner takes nothing of it now; empty where it does, or will as soon as it is asked. */
export async function explainRunner(sql: Sql, job: JobView, autoResumeMs: number, now: Date): Promise<Reason[]> {
  const row = job.runnerId === null ? undefined : await runnerById(sql, job.runnerId);
  if (!row) return [];
  if (row.deletedAt !== null) {
    const message = `The runner ${row.name} was removed`;
    return [{ code: "RUNNER_NOT_ALLOWED", message, action: "Cancel the job, and start it on another runner" }];
  }
  const { projectId, project, environment } = job;
  const list: AllowList = JSON.parse(row.allowlist);
  if (!isAllowed(row.restricted === 1, list, { projectId, environment })) {
    const message = `The runner ${row.name} does not take jobs of project ${project}, environment ${environment}`;
    const action = `Put them on its allow list: maia runners allow ${row.name} ${project}/${environment}`;
    return [{ code: "RUNNER_NOT_ALLOWED", message, action }];
  }
  const view = await viewRunner(sql, row);
  const paused = explainPause(view, autoResumeMs, now);
  return [...paused, ...(isEnginesOwn(row) ? [] : await explainInstances(sql, job, view, autoResumeMs, now))];
}

function explainPause({ name, sight }: RunnerView, autoResumeMs: number, now: Date): Reason[] {
  const { pause, inFlight, openTransactions } = sight.facts;
  if (pause === null || !isPaused(pause, autoResumeMs, now)) return [];
  const until = pausedUntil(pause, autoResumeMs);
  const end = until ? `until ${until.toISOString()}` : "without an end so far";
  const left = inFlight + openTransactions;
  const still = left > 0 ? `, and ${left} of its tasks and transactions still go on` : "";
  const message = `The runner ${name} is paused ${end}${still}`;
  return [{ code: "RUNNER_PAUSED", message, action: `Resume it: maia runners resume ${name}` }];
}

const disconnected: Readonly<Record<string, string>> = {
  PENDING: "has never connected",
  STOPPED: "was stopped",
  UNKNOWN: "is not heard of any more",
};

async function explainInstances(
  sql: Sql,
  job: JobView,
  view: RunnerView,
  autoResumeMs: number,
  now: Date,
): Promise<Reason[]> {
  const { id, name, sight } = view;
  const live = sight.facts.instances.filter(isConnected);
  if (live.length === 0) {
    const status = runnerStatus({ ...sight.facts, pause: null }, autoResumeMs, now);
    const message = `The runner ${name} ${disconnected[status] ?? "is not connected"}`;
    return [
      { code: "RUNNER_NOT_CONNECTED", message, action: `Start an instance of it: maia runners deployment ${name}` },
    ];
  }
  const rooms = await readRooms(sql, id);
  const slots = rooms.filter(isConnected).reduce((sum, room) => sum + room.slots, 0);
  switch (chooseInstance(rooms, await storeNeedOfJob(sql, job.id)).wait) {
    case "RUNNER_KEEPS_NO_DATA": {
      const message = `The job's data stays at its runner (dataResidency), and no connected instance of ${name} can keep any`;
      const action = "Start an instance of a newer version; MAIA_RUNNER_KEEP_DIR says where it keeps data";
      return [{ code: "RUNNER_KEEPS_NO_DATA", message, action }];
    }
    case "RUNNER_DATA_AWAY": {
      const message = `The job's data is kept by an instance of the runner ${name} that is not connected, and no other has it`;
      const action = "Start an instance with the same MAIA_RUNNER_KEEP_DIR as the one that has the data";
      return [{ code: "RUNNER_DATA_AWAY", message, action }];
    }
    case "RUNNER_STOPPING":
      return [{ code: "RUNNER_STOPPING", message: `The runner ${name} is stopping, and takes nothing new` }];
    case "RUNNER_OVERLOADED": {
      const message = `The runner ${name} takes nothing new until its hosts are less busy, or have more room${loadOf(rooms)}`;
      return [{ code: "RUNNER_OVERLOADED", message, action: "Start another instance of it on another host, or wait" }];
    }
    case "RUNNER_BUSY": {
      const message = `All ${slots} slots of the runner ${name} are in use`;
      return [{ code: "RUNNER_BUSY", message, action: "Start another instance of it, or wait for a task to end" }];
    }
    default:
      return [];
  }
}

/** How busy the calmest host is, where it tells. */
function loadOf(rooms: readonly InstanceRoom[]): string {
  const [calmest] = rooms.filter(({ cpu }) => cpu !== null).sort((a, b) => (a.cpu ?? 0) - (b.cpu ?? 0));
  if (!calmest) return "";
  const memory = calmest.memory === null ? "" : `, memory ${Math.round(calmest.memory * 100)} %`;
  return ` (CPU ${Math.round((calmest.cpu ?? 0) * 100)} %${memory})`;
}
