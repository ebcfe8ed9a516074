import { textProblem } from "@maia/domain";
import { ok, type Route, route } from "../http/route.js";
import { choice, integer, named, object, optional, text } from "../http/shapes.js";
import { credentials, runner } from "../present/runner.js";
import { commandRunner, runnerCommands } from "../runners/commands.js";
import { tryConnection } from "../runners/connectivity.js";
import { refreshSecret, revealCredentials } from "../runners/credentials.js";
import { describeRunner, managedRunner, requireUnmanaged } from "../runners/find.js";
import { orNotedRefusal } from "../runners/noted.js";

const NOTE_MAX = 500;

const command = named(
  "RunnerCommandRequest",
  object({
    command: choice(runnerCommands),
    note: optional(text({ maxLength: NOTE_MAX, description: "Why" }, (value) => textProblem(value, NOTE_MAX))),
  }),
);

const refresh = named("CredentialsRequest", object({ action: choice(["SECRET_REFRESH"]) }));

const HOST_MAX = 255;

const endpoint = named(
  "ConnectivityRequest",
  object({
    host: text({ minLength: 1, maxLength: HOST_MAX, description: "A name or an address" }, (value) =>
      value === "" || value.length > HOST_MAX || /[\s/\\@?#]/.test(value)
        ? `must be the name or the address of a host, at most ${HOST_MAX} characters`
        : null,
    ),
    port: integer(1, 65_535),
  }),
);

const connection = named(
  "Connectivity",
  object({
    result: choice(["SUCCESS", "TIMEOUT"]),
    host: text(),
    port: integer(1, 65_535),
    detail: optional(text({ description: "Why there was no connection" })),
  }),
  { result: "SUCCESS", host: "warehouse.internal", port: 5432 },
);

const MANAGED = "it has no credentials, since it is started with Maia";

export const runnerCommandRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/runners/{id}/commands",
    operationId: "commandRunner",
    summary: "Pauses, resumes, restarts or stops a runner. A second PAUSE changes nothing",
    tag: "Runners",
    permission: "runners.manage",
    body: { shape: command, example: { command: "PAUSE", note: "New drivers" } },
    answers: { 202: { description: "It was told; the runner as it is now", shape: runner } },
    handler: async (call) => {
      const { command, note = "" } = call.body;
      const row = await managedRunner(call, call.params.id);
      await orNotedRefusal(call, row.id, command, () => commandRunner(call, row.id, command, note));
      return { status: 202, body: (await describeRunner(call, row)).body };
    },
  }),
  route({
    method: "get",
    path: "/v1/runners/{id}/credentials",
    operationId: "revealCredentials",
    summary: "Shows the credentials of a runner. Who does so is noted",
    tag: "Runners",
    permission: "runners.manage",
    answers: { 200: { description: "The credentials", shape: credentials } },
    handler: async (call) => {
      const row = await managedRunner(call, call.params.id);
      return orNotedRefusal(call, row.id, "SECRET_REVEAL", async () => {
        requireUnmanaged(row, MANAGED);
        return ok(await revealCredentials(call, row));
      });
    },
  }),
  route({
    method: "post",
    path: "/v1/runners/{id}/credentials",
    operationId: "refreshCredentials",
    summary: "Makes a new secret for a runner. The old one is refused at once, and its instances are cut off",
    tag: "Runners",
    permission: "runners.manage",
    body: { shape: refresh, example: { action: "SECRET_REFRESH" } },
    answers: { 200: { description: "The new credentials", shape: credentials } },
    handler: async (call) => {
      const row = await managedRunner(call, call.params.id);
      return orNotedRefusal(call, row.id, "SECRET_REFRESH", async () => {
        requireUnmanaged(row, MANAGED);
        return ok(await refreshSecret(call, row));
      });
    },
  }),
  route({
    method: "post",
    path: "/v1/runners/{id}/connectivity",
    operationId: "testConnectivity",
    summary: "Has a RUNNING runner try one TCP connection, without sending or reading a byte",
    tag: "Runners",
    permission: "runners.manage",
    body: { shape: endpoint, example: { host: "warehouse.invalid", port: 5432 } },
    answers: { 200: { description: "What came of it", shape: connection } },
    handler: async (call) => {
      const row = await managedRunner(call, call.params.id);
      return ok(await orNotedRefusal(call, row.id, "CONNECTIVITY", () => tryConnection(call, row, call.body)));
    },
  }),
];
