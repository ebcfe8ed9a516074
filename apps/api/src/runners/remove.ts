import { type RunnerRow, removeRunner, requireRunner, runnerDependents, viewRunner } from "@maia/db";
import { MaiaError, type RunnerPlatform } from "@maia/domain";
import type { Call } from "../http/route.js";
import { workOf } from "./find.js";
import { noted } from "./noted.js";

/** Where what a runner was deployed as stays behind. */
const places: Readonly<Record<Exclude<RunnerPlatform, "hosted">, string>> = {
  aws: "Clean up in the AWS Console: the ECS service with its task definition, the secret and the log group",
  azure: "Clean up in the Azure Portal: the container app or container group, with its secrets and identity",
  gcp: "Clean up in the Google Cloud Console: the workload in GKE, its secret and its service account",
  snowflake: "Clean up in Snowflake's Snowpark Container Services: the service, its compute pool and its secret",
  kubernetes: "Clean up in your cluster: the Helm release or the manifests, and the secret with the credentials",
  self_managed: "Clean up on your host: the container or the unit, its environment file and its data directory",
};

/** What stays behind of a runner, in words. */
export function remainsOf({ platform }: Pick<RunnerRow, "platform">): string {
  const place = places[platform as keyof typeof places];
  return `Maia has removed its record of the runner and ended its credentials, and nothing else. ${place}.`;
}

/**
 * Removes a runner. Unless it is forced, one that others count on stays.
 * @throws {MaiaError} STATE_CONFLICT saying who counts on it.
 */
export async function remove(call: Call, { id }: RunnerRow, isForced: boolean) {
  return call.context.db.write(async (tx) => {
    const runner = await requireRunner(tx, id);
    const { inFlight, openTransactions, queued } = workOf(await viewRunner(tx.sql, runner));
    const { schedules, environments } = await runnerDependents(tx.sql, id);
    const reasons = [
      some(inFlight, "task is in flight", "tasks are in flight"),
      some(openTransactions, "transaction is open", "transactions are open"),
      some(queued, "job or step waits for it", "jobs and steps wait for it"),
      some(schedules, "enabled schedule names it", "enabled schedules name it"),
      environments.length > 0 ? `it is the default of ${environments.slice(0, 10).join(", ")}` : null,
    ].filter((reason) => reason !== null);
    if (reasons.length > 0 && !isForced) {
      const message = `The runner ${runner.name} is in use: ${reasons.join("; ")}. Pause it and let it finish, or remove it all the same by force (--force, ?force=true)`;
      throw new MaiaError("STATE_CONFLICT", message);
    }
    await noted(tx, call, id, {
      action: "REMOVE",
      data: { name: runner.name, isForced, inFlight, queued, environments },
    });
    await removeRunner(tx, id, call.now);
    return { id, name: runner.name, remains: remainsOf(runner), inFlight, queued, environments, schedules };
  });
}

function some(count: number, one: string, many: string): string | null {
  return count === 0 ? null : count === 1 ? `1 ${one}` : `${count} ${many}`;
}
