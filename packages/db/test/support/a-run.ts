import type { Db } from "../../src/types.js";
import { NOW } from "./place.js";

/** A running run of a workflow of its own, with an attempt `att_<run>_<step>_<no>` for each of the steps' attempts. */
export async function aRun(db: Db, runId: string, steps: Readonly<Record<string, number>> = {}): Promise<void> {
  const project = await db.models.project.findFirstOrThrow();
  const environment = await db.models.environment.findFirstOrThrow();
  const [workflowId, workflowVersionId, jobRunId] = [`wf_${runId}`, `wfv_${runId}`, `job_${runId}`];
  const at = { createdAt: NOW };
  const ids = { projectId: project.id, workflowId, workflowVersionId };
  await db.write(async ({ models }) => {
    const workflow = { id: workflowId, projectId: project.id, slug: workflowId, draft: "{}", draftHash: "" };
    await models.workflow.create({ data: { ...workflow, ...at, updatedAt: NOW } });
    const version = { id: workflowVersionId, workflowId, version: 1, workflowSnap: "{}", snapHash: "" };
    await models.workflowVersion.create({ data: { ...version, ...at } });
    const job = {
      id: jobRunId,
      ...ids,
      environmentId: environment.id,
      status: "RUNNING",
      inputJson: "{}",
      trigger: "manual",
    };
    await models.jobRun.create({ data: { ...job, ...at } });
    const run = { id: runId, jobRunId, ...ids, status: "RUNNING", initialInput: "{}", ownerId: "eng", ownerEpoch: 1 };
    await models.run.create({ data: { ...run, ...at } });
    for (const [position, [key, attempts]] of Object.entries(steps).entries()) {
      await models.runStep.create({ data: { runId, key, position, status: "RUNNING" } });
      for (let no = 1; no <= attempts; no++) {
        const attempt = { id: `att_${runId}_${key}_${no}`, runId, stepKey: key, no, status: "RUNNING", epoch: 1 };
        await models.attempt.create({ data: { ...attempt, engineId: "eng", token: "t", ...at } });
      }
    }
  });
}
