import { type DataResidency, MaiaError, newId } from "@maia/domain";
import { DEFAULT_NAME, type EnvironmentRow, findEnvironment, findProject, type ProjectRow } from "./projects.js";
import { toDbTime } from "./time.js";
import type { Tx } from "./types.js";

/** Makes a project with an environment `default`. @throws {MaiaError} STATE_CONFLICT where the name is taken. */
export async function createProject(tx: Tx, name: string, now: Date): Promise<ProjectRow> {
  if (await findProject(tx.sql, name)) throw new MaiaError("STATE_CONFLICT", "There is a project of that name already");
  const id = newId("project", now);
  await tx.models.project.create({ data: { id, name, createdAt: now } });
  await createEnvironment(tx, { projectId: id, name: DEFAULT_NAME, variables: {}, defaultRunnerId: null }, now);
  return { id, name, createdAt: toDbTime(now) };
}

/** What an environment is made with. */
export interface NewEnvironment {
  readonly projectId: string;
  readonly name: string;
  readonly variables: { readonly [name: string]: string };
  readonly defaultRunnerId: string | null;
  /** Left out: with Maia. */
  readonly dataResidency?: DataResidency;
}

/** Makes an environment. @throws {MaiaError} STATE_CONFLICT where the project has one of that name. */
export async function createEnvironment(tx: Tx, environment: NewEnvironment, now: Date): Promise<{ id: string }> {
  const { projectId, name, variables, defaultRunnerId, dataResidency = "maia" } = environment;
  if (await findEnvironment(tx.sql, projectId, name)) {
    throw new MaiaError("STATE_CONFLICT", "The project has an environment of that name already");
  }
  const id = newId("environment", now);
  const times = { createdAt: now, updatedAt: now };
  await tx.models.environment.create({
    data: { id, projectId, name, variables: JSON.stringify(variables), defaultRunnerId, dataResidency, ...times },
  });
  return { id };
}

/** What may change in an environment. */
export type EnvironmentChange = Partial<Pick<NewEnvironment, "variables" | "defaultRunnerId" | "dataResidency">>;

/** Changes an environment, if `check` agrees to what it is now. */
export async function updateEnvironment(
  tx: Tx,
  { projectId, id }: { readonly projectId: string; readonly id: string },
  change: EnvironmentChange,
  check: (current: EnvironmentRow) => void,
  now: Date,
): Promise<void> {
  const current = await findEnvironment(tx.sql, projectId, id);
  if (!current) throw new MaiaError("NOT_FOUND", "There is no such environment");
  check(current);
  const { variables, ...others } = change;
  await tx.models.environment.update({
    where: { id: current.id },
    data: {
      ...(variables === undefined ? {} : { variables: JSON.stringify(variables) }),
      ...others,
      updatedAt: now,
    },
  });
}
