import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { GatewayClient } from "../src/client/gateway-client.js";

let server: Server;
let client: GatewayClient;
let open: (answerMs: number) => GatewayClient;
/** Answers what is not the token's route. */
let answer: (req: IncomingMessage, res: ServerResponse) => void;
let seen: { method: string; url: string; headers: IncomingMessage["headers"] }[];

beforeEach(async () => {
  seen = [];
  server = createServer((req, res) => {
    const { method = "", url = "", headers } = req;
    req.resume();
    if (url === "/oauth/token")
      return void res.end(JSON.stringify({ access_token: "token", token_type: "Bearer", expires_in: 900 }));
    seen.push({ method, url, headers });
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  open = (answerMs) => new GatewayClient({ url, clientId: "id", clientSecret: "secret", answerMs });
  client = open(10_000);
});
afterEach(async () => {
  client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const hello = () => {
  const about = {
    protocol: "1.0",
    version: "1",
    slots: 1,
    labels: {},
    isolation: "sandbox",
    capabilities: [],
  } as const;
  return client.hello({ ...about, ledgerId: "led_1" });
};
const welcome = { instanceId: "ins_1", generation: 3, heartbeatMs: 1_000 };
const attempt = { attemptId: "att_1", token: "its-token" };
const says =
  (status: number, body: object | string, headers: { [name: string]: string } = {}) =>
  (_req: IncomingMessage, res: ServerResponse) =>
    void res.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));

describe("the client of a gateway", () => {
  it("names itself, its generation after the hello, and the attempt's token", async () => {
    answer = says(201, welcome);
    expect(await hello()).toEqual(welcome);
    answer = says(200, { ackedSeq: 0, ended: false });
    await client.frames(attempt, Buffer.from('{"type":"heartbeat"}\n'));
    answer = says(204, "");
    await client.goodbye();
    const [first, second, third] = seen;
    expect(first!.headers).toMatchObject({ authorization: "Bearer token", "maia-protocol": "1.0" });
    expect(first!.headers).not.toHaveProperty("maia-generation");
    expect(second!.headers).toMatchObject({ "maia-generation": "3", "maia-attempt-token": "its-token" });
    expect(third).toMatchObject({ method: "DELETE", url: "/v1/gateway/instances/ins_1" });
  });

  it.each([
    [409, { code: "SUPERSEDED" }, "SUPERSEDED"],
    [409, { code: "ATTEMPT_ENDED" }, "ATTEMPT_ENDED"],
    [409, { code: "RUNNER_VERSION_UNSUPPORTED" }, "VERSION_UNSUPPORTED"],
    [404, { code: "NOT_FOUND" }, "NOT_FOUND"],
    [404, "<h1>Not found</h1>", "UNREACHABLE"],
    [409, "conflict, says a proxy", "UNREACHABLE"],
    [502, "bad gateway", "UNREACHABLE"],
    [307, "", "UNREACHABLE"],
    [503, "", "BUSY"],
    [400, { code: "INVALID", detail: "frames must be" }, "REFUSED"],
    [401, "", "UNAUTHENTICATED"],
    [200, "<h1>Welcome to nginx</h1>", "UNREACHABLE"],
    [200, { ackedSeq: -1, ended: false }, "UNREACHABLE"],
  ])("takes %i %j for %s: only a problem document is the gateway's word", async (status, body, code) => {
    answer = says(status, body);
    await expect(client.frames(attempt, Buffer.alloc(0))).rejects.toMatchObject({ name: "GatewayError", code });
  });

  it("passes on what is missing, and when to come back", async () => {
    answer = says(412, { code: "BLOB_MISSING", missing: ["a", 1, "b"] });
    await expect(client.frames(attempt, Buffer.alloc(0))).rejects.toMatchObject({ missing: ["a", "b"] });
    answer = says(429, { code: "RATE_LIMITED" }, { "retry-after": "7" });
    await expect(client.frames(attempt, Buffer.alloc(0))).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });

  it("gives up a gateway that takes the request and never answers, or stops in the middle (F47)", async () => {
    client.close();
    client = open(300);
    answer = () => {};
    await expect(client.frames(attempt, Buffer.alloc(0))).rejects.toThrow(/no answer within 300 ms/);
    answer = (_req, res) => void res.writeHead(200, { "content-length": 100 }).write('{"ackedSeq"');
    await expect(client.frames(attempt, Buffer.alloc(0))).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it("reads commands that it knows, and confirms the others", async () => {
    answer = says(201, welcome);
    await hello();
    const commands = [
      { id: "c1", type: "CANCEL", attemptId: "att_1", token: "t", mode: "stop" },
      { id: "c2", type: "CANCEL", attemptId: "../x", mode: "stop" },
      { id: "c3", type: "DANCE" },
      { type: "STOP" },
      { id: "c4", type: "CONNECTIVITY", host: "db", port: 5432 },
    ];
    answer = says(200, { tasks: [{ any: "thing" }], commands });
    const poll = await client.poll({ free: 1, running: [], gotTasks: [], gotCommands: [], load: {} });
    expect(poll.tasks).toEqual([{ any: "thing" }]);
    expect(poll.commands.map(({ id, type }) => [id, type])).toEqual([
      ["c1", "CANCEL"],
      ["c2", "UNKNOWN"],
      ["c3", "UNKNOWN"],
      ["c4", "CONNECTIVITY"],
    ]);
  });
});
