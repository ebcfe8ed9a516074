import { fromCursor, isIdOf, type Page, type PageRequest, type Scope, toPage } from "./pages.js";
import type { Db } from "./types.js";

/** A project as readers see it. */
export interface ProjectView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
}

/** Projects, newest first. */
export async function listProjects(db: Db, scope: Scope, page: PageRequest): Promise<Page<ProjectView>> {
  const before = page.cursor === null ? [] : [{ id: { lt: fromCursor(page.cursor, isIdOf("prj")) } }];
  const within = scope === null ? [] : [{ id: { in: [...scope] } }];
  const rows = await db.models.project.findMany({
    where: { AND: [...before, ...within] },
    orderBy: { id: "desc" },
    take: page.limit + 1,
  });
  return toPage(
    rows,
    page,
    (row) => row.id,
    (row) => row,
  );
}

/** An environment as readers see it. JSON stays text. */
export interface EnvironmentView {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly variables: string;
  readonly defaultRunnerId: string | null;
  readonly defaultRunner: { readonly name: string } | null;
  readonly dataResidency: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const withRunner = { defaultRunner: { select: { name: true } } } as const;

/** Environments of a project, newest first. */
export async function listEnvironments(db: Db, projectId: string, page: PageRequest): Promise<Page<EnvironmentView>> {
  const before = page.cursor === null ? {} : { id: { lt: fromCursor(page.cursor, isIdOf("env")) } };
  const rows = await db.models.environment.findMany({
    where: { projectId, ...before },
    orderBy: { id: "desc" },
    take: page.limit + 1,
    include: withRunner,
  });
  return toPage(
    rows,
    page,
    (row) => row.id,
    (row) => row,
  );
}

/** An environment of a project, by its id or its name. */
export async function findEnvironmentView(db: Db, projectId: string, ref: string): Promise<EnvironmentView | null> {
  const which = isIdOf("env").test(ref) ? { id: ref } : { name: ref };
  return db.models.environment.findFirst({ where: { projectId, ...which }, include: withRunner });
}
