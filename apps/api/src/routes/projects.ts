import { createProject, listProjects, type ProjectView } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { audited } from "../audited.js";
import { created, ok, type Route, route } from "../http/route.js";
import { named, type Of, object } from "../http/shapes.js";
import { makeOnce, replayHeader } from "../idempotency.js";
import { projectOf } from "../lookup.js";
import { id, iso, moment, nameOf, pageOf, pageRequest, paging } from "../present/common.js";

const project = named("Project", object({ id: id("prj"), name: nameOf(100), createdAt: moment }), {
  id: "prj_01kc1x0000000000000000000a",
  name: "default",
  createdAt: "2026-11-20T12:00:00.123Z",
});

const newProject = named("NewProjectRequest", object({ name: nameOf(100) }));

function present({ id, name, createdAt }: { id: string; name: string; createdAt: Date | string }): Of<typeof project> {
  return { id, name, createdAt: iso(new Date(createdAt)) };
}

export const projectRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/projects",
    operationId: "listProjects",
    summary: "The projects that the caller may read, newest first",
    tag: "Projects",
    permission: "projects.read",
    query: paging,
    answers: { 200: { description: "A page of projects", shape: pageOf(project) } },
    handler: async ({ context, caller, query }) => {
      const page = await listProjects(context.db, caller.projects, pageRequest(query));
      return ok({ ...page, items: page.items.map((item: ProjectView) => present(item)) });
    },
  }),
  route({
    method: "post",
    path: "/v1/projects",
    operationId: "createProject",
    summary: "Makes a project with an environment `default`",
    tag: "Projects",
    permission: "projects.write",
    requestHeaders: { "Idempotency-Key": "Makes asking again safe" },
    body: { shape: newProject, example: { name: "finance" } },
    answers: { 201: { description: "The project", shape: project } },
    handler: async (call) => {
      const { caller, body, now } = call;
      if (caller.projects !== null) throw new MaiaError("FORBIDDEN", "A key for some projects cannot make others");
      const { location, made } = await makeOnce(call, async (tx) => {
        const made = await createProject(tx, body.name, now);
        await audited(tx, call, "project.create", made.id, { name: body.name });
        return { location: `/v1/projects/${made.id}`, made };
      });
      const answer = made ?? (await projectOf(call, location.split("/").at(-1)));
      return created(location, present(answer), replayHeader(made === null));
    },
  }),
  route({
    method: "get",
    path: "/v1/projects/{id}",
    operationId: "getProject",
    summary: "A project, by id or by name",
    tag: "Projects",
    permission: "projects.read",
    answers: { 200: { description: "The project", shape: project } },
    handler: async (call) => ok(present(await projectOf(call, call.params.id))),
  }),
];
