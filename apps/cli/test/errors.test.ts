import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { FakeApi, sendProblem } from "./fake-api.js";
import { maia } from "./run-maia.js";

let api: FakeApi;

beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const connected = (env: Record<string, string> = {}) => api.options(env);
describe("exit codes", () => {
  it.each([
    [400, "BAD_JSON", 6],
    [401, "UNAUTHENTICATED", 4],
    [403, "FORBIDDEN", 4],
    [404, "NOT_FOUND", 3],
    [409, "STATE_CONFLICT", 5],
    [412, "PRECONDITION", 5],
    [422, "INVALID", 6],
    [429, "RATE_LIMITED", 8],
    [500, "INTERNAL", 1],
    [507, "STORAGE_FULL", 1],
  ])("turns the API's %d into its own", async (status, code, exitCode) => {
    api.on("GET /v1/runs/run_1", (_, response) => sendProblem(response, status, code, "Says why"));
    expect(await maia(["runs", "show", "run_1"], connected())).toMatchObject({
      code: exitCode,
      stdout: "",
      stderr: expect.stringMatching(/^maia: Says why\n/),
    });
  });

  it("are 2 for a command that was written wrong, with a hint", async () => {
    const unknown = await maia(["rnus"], connected());
    expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("Did you mean run") });
    expect((await maia(["runs", "list", "--limit", "0"], connected())).code).toBe(2);
    expect((await maia(["run"], connected())).code).toBe(2);
    expect((await maia(["status", "--url", "nonsense"], connected())).code).toBe(2);
    expect(api.asked).toEqual([]);
  });

  it("are 0 for help and versions", async () => {
    for (const args of [
      ["--help"],
      ["run", "--help"],
      ["help", "exit-codes"],
      ["help", "runs"],
      ["--version"],
      ["version"],
    ]) {
      expect(await maia(args, { cwd: api.folder })).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(/\S/),
      });
    }
  });

  it("are 7 when nobody answers, with the way to start Maia", async () => {
    const gone = await maia(["status", "--url", "http://127.0.0.1:1"], connected());
    expect(gone).toMatchObject({
      code: 7,
      stdout: "",
      stderr: expect.stringMatching(/cannot be reached at http:\/\/127\.0\.0\.1:1 .*\n.*maia up/),
    });
    api.on("GET /v1/me", (_, response) => response.end("<html>"));
    expect(await maia(["status"], connected())).toMatchObject({
      code: 7,
      stderr: expect.stringContaining("Is that the address of Maia?"),
    });
  });
});

describe("errors", () => {
  it("name what is wrong where, and with --json are the problem document itself", async () => {
    const errors = [{ pointer: "/params/top", message: "must be an integer" }];
    api.on("POST /v1/jobs", (_, response) => sendProblem(response, 422, "INVALID", "The params are wrong", { errors }));
    const plain = await maia(["run", "report"], connected());
    expect(plain).toMatchObject({
      code: 6,
      stdout: "",
      stderr: "maia: The params are wrong\n  /params/top: must be an integer\n",
    });
    const json = await maia(["run", "report", "--json"], connected());
    expect(json).toMatchObject({ code: 6, stdout: "" });
    expect(JSON.parse(json.stderr)).toMatchObject({ code: "INVALID", status: 422, errors, requestId: "req_1" });
  });

  it("are a problem document with --json also when the command itself is wrong", async () => {
    for (const args of [
      ["runs", "list", "--json", "--limit", "x"],
      ["nonsense", "--json"],
      ["apply", "-f", "nowhere", "--json"],
    ]) {
      const { code, stdout, stderr } = await maia(args, connected());
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(JSON.parse(stderr)).toMatchObject({ code: "USAGE", detail: expect.any(String) });
    }
  });

  it("point into the file of a workflow", async () => {
    await writeFile(
      join(api.folder, "workflow.yaml"),
      "name: report\nsteps:\n  - key: a\n    script: 'true'\n    deps: [b]\n",
    );
    const errors = [{ pointer: "/steps/0/deps/0", message: "there is no step b" }];
    api.on("PUT /v1/workflows/report", (_, response) =>
      sendProblem(response, 422, "INVALID", "The workflow is wrong", { errors }),
    );
    const { code, stderr } = await maia(["apply", "-f", "."], connected());
    expect({ code, stderr }).toEqual({
      code: 6,
      stderr: "maia: workflow.yaml: The workflow is wrong\n  /steps/0/deps/0: there is no step b (at 5:12)\n",
    });
  });
});

describe("address and key", () => {
  const keyOf = () => api.asked.at(-1)?.headers.authorization;
  beforeEach(() => {
    api
      .on("GET /v1/me", { name: "laptop", role: "admin" })
      .on("GET /v1/runs", { items: [], nextCursor: null })
      .on("GET /readyz", { status: "ready" });
  });

  it("come from flags, then the environment, then the data directory", async () => {
    await writeFile(join(api.folder, "admin-key"), "from-file\n");
    const env = { MAIA_URL: "http://127.0.0.1:1", MAIA_API_KEY: "from-env", MAIA_DATA_DIR: api.folder };
    await maia(["status", "--url", api.url, "--api-key", "from-flag"], { env });
    expect(keyOf()).toBe("Bearer from-flag");
    await maia(["status"], { env: { ...env, MAIA_URL: api.url } });
    expect(keyOf()).toBe("Bearer from-env");
    const answer = await maia(["status"], { env: { MAIA_URL: api.url, MAIA_DATA_DIR: api.folder } });
    expect(keyOf()).toBe("Bearer from-file");
    expect(answer).toMatchObject({ code: 0, stdout: expect.stringContaining("laptop (admin)") });
  });

  it("never show the key of this machine to another one", async () => {
    await writeFile(join(api.folder, "admin-key"), "from-file\n");
    const { readConnection } = await import("../src/config.js");
    const env = { MAIA_DATA_DIR: api.folder };
    expect(readConnection(env, { url: "http://127.0.0.1:9" }).apiKey).toBe("from-file");
    for (const url of ["https://maia.example", "http://127.0.0.1.evil.example", "http://10.0.0.1:3690"]) {
      expect(readConnection(env, { url }).apiKey).toBeNull();
    }
  });

  it("say where the key came from when it is refused", async () => {
    api.on("GET /v1/me", (_, response) => sendProblem(response, 401, "UNAUTHENTICATED", "The API key is not valid"));
    expect(await maia(["status"], connected())).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("The key came from MAIA_API_KEY"),
    });
    expect(await maia(["status", "--url", api.url], { cwd: api.folder })).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("Set MAIA_API_KEY"),
    });
  });
});
