import { listReleases, putRelease, type StoredRelease } from "@maia/db";
import { invalid, runnerTracks, versionProblem } from "@maia/domain";
import { audited } from "../audited.js";
import { created, ok, type Route, route } from "../http/route.js";
import { choice, flag, named, nullable, object, optional, text } from "../http/shapes.js";
import { pageOf, pageRequest, paging } from "../present/common.js";
import { presentRelease, release } from "../present/runner-release.js";
import { requireAllProjects } from "../runners/find.js";

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

const moment = text({ format: "date-time" }, (value) =>
  MOMENT.test(value) && !Number.isNaN(Date.parse(value)) ? null : "must be a moment in RFC 3339",
);

const IMAGE_MAX = 512;

const request = named(
  "RunnerReleaseRequest",
  object({
    version: text({ maxLength: 100, description: "https://semver.org" }, (value) =>
      value.length > 100 ? "must have at most 100 characters" : versionProblem(value),
    ),
    track: choice(runnerTracks),
    image: optional(
      nullable(
        text({ maxLength: IMAGE_MAX }, (value) =>
          value.length <= IMAGE_MAX && /^[A-Za-z0-9][\w.:/@-]*$/.test(value)
            ? null
            : "must be the name of a container image, such as registry/name:tag",
        ),
      ),
    ),
    releasedAt: optional(moment),
    supportedUntil: optional(nullable(moment)),
    securityFix: optional(flag()),
  }),
);

export const runnerReleaseRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/runner-releases",
    operationId: "listRunnerReleases",
    summary: "Published versions of the runner, newest first",
    tag: "Runners",
    permission: "runners.read",
    query: { ...paging, track: optional(choice(runnerTracks)) },
    answers: { 200: { description: "A page of releases", shape: pageOf(release) } },
    handler: async ({ context, query }) => {
      const page = await listReleases(context.db.sql, query.track, pageRequest(query));
      return ok({ ...page, items: page.items.map(presentRelease) });
    },
  }),
  route({
    method: "post",
    path: "/v1/runner-releases",
    operationId: "putRunnerRelease",
    summary: "Registers a published version of the runner, or changes what is known of it",
    tag: "Runners",
    permission: "runners.manage",
    body: { shape: request, example: { version: "1.4.0", track: "stable", releasedAt: "2026-11-01T00:00:00Z" } },
    answers: {
      200: { description: "It was there, and is as given now", shape: release },
      201: { description: "The release", shape: release },
    },
    handler: async (call) => {
      const { context, body, now } = call;
      requireAllProjects(call);
      const { version, track, image = null, supportedUntil = null, securityFix = false } = body;
      const releasedAt = body.releasedAt === undefined ? now : new Date(body.releasedAt);
      const until = supportedUntil === null ? null : new Date(supportedUntil);
      if (until !== null && until <= releasedAt)
        throw invalid([{ pointer: "/supportedUntil", message: "must be later than releasedAt" }]);
      const stored: StoredRelease = { version, track, image, releasedAt, supportedUntil: until, securityFix };
      const isNew = await context.db.write(async (tx) => {
        const isNew = await putRelease(tx, stored);
        await audited(tx, call, "runner.release", `release_${version}`, { isNew, image });
        return isNew;
      });
      const answer = presentRelease(stored);
      return isNew ? created(`/v1/runner-releases?track=${track}`, answer) : ok(answer);
    },
  }),
];
