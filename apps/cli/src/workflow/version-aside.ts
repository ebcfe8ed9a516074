import { randomUUID } from "node:crypto";
import type { ApiClient } from "../api-client.js";
import { usage } from "../errors.js";
import { findWorkflowFiles, inFile, readWorkflow } from "./read-workflow.js";

/** True for what can only be a path: the name or id of a workflow holds no dot and no slash. */
export function isWorkflowPath(text: string): boolean {
  return text === "-" || /[./\\]/.test(text);
}

/** Makes a version of a definition that lies in a file, for jobs that name it; what others get stays as it is. */
export async function makeVersionAside(
  api: ApiClient,
  path: string,
  project: string | undefined,
): Promise<{ readonly workflow: string; readonly version: number }> {
  const [first, ...others] = await findWorkflowFiles(path);
  if (first === undefined || others.length > 0) throw usage(`${path} holds several workflows; name the file of one`);
  const file = await readWorkflow(first);
  const query = project === undefined ? "" : `?project=${encodeURIComponent(project)}`;
  const address = `v1/workflows/${encodeURIComponent(file.slug)}/versions${query}`;
  const request = { definition: file.definition, latest: false };
  const { body } = await api
    .post<{ workflow: string; version: number }>(address, request, { "idempotency-key": randomUUID() })
    .catch((error) => Promise.reject(inFile(error, file, "/definition")));
  return { workflow: body.workflow, version: body.version };
}
