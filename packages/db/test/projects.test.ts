import { describe, expect, it } from "@jest/globals";
import { findEnvironment, findProject, findRunner } from "../src/projects.js";
import { NOW, openTestDb } from "./support/place.js";

describe("a project, an environment and a runner", () => {
  it("are found by id or by name", async () => {
    await using db = await openTestDb();
    const project = await findProject(db.sql, "default");
    expect(await findProject(db.sql, project!.id)).toEqual(project);
    const environment = await findEnvironment(db.sql, project!.id, "default");
    expect(await findEnvironment(db.sql, project!.id, environment!.id)).toEqual(environment);
    expect(environment).toMatchObject({ projectId: project!.id, variables: "{}", defaultRunnerId: null });
    const runner = await findRunner(db.sql, "hosted");
    expect(await findRunner(db.sql, runner!.id)).toEqual(runner);
    expect(await findProject(db.sql, "missing")).toBeUndefined();
  });

  it("keep an id above a name that reads like it", async () => {
    await using db = await openTestDb();
    const project = await findProject(db.sql, "default");
    await db.write(({ models }) => models.project.create({ data: { id: "prj_0", name: project!.id, createdAt: NOW } }));
    expect((await findProject(db.sql, project!.id))?.name).toBe("default");
  });

  it("belong to their own project only", async () => {
    await using db = await openTestDb();
    const project = await findProject(db.sql, "default");
    const environment = await findEnvironment(db.sql, project!.id, "default");
    expect(await findEnvironment(db.sql, "prj_other", environment!.id)).toBeUndefined();
  });
});
