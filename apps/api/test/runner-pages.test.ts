import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { aRunner } from "./fleet-rows.js";
import { openTestApi, type TestApi } from "./support.js";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ publicUrl: new URL("https://maia.example.org/") });
});
afterAll(() => api[Symbol.asyncDispose]());

const deployments = [
  ["aws", "fargate", /"valueFrom": "SECRET_ARN"/],
  ["azure", "container_app", /secretref:client-secret/],
  ["azure", "aci", /--secure-environment-variables MAIA_CLIENT_SECRET=/],
  ["gcp", "gke", /gcloud container clusters get-credentials/],
  ["kubernetes", "helm", /helm upgrade --install/],
  ["kubernetes", "manifests", /terminationGracePeriodSeconds: 43200/],
  ["self_managed", "docker", /docker run .*--stop-timeout 43200/],
  ["self_managed", "systemd", /RestartPreventExitStatus=77/],
  ["self_managed", "process", /MAIA_RUNNER_DATA_DIR=\S+ maia runner$/m],
] as const;

describe("a deployment", () => {
  it.each(deployments)(
    "on %s as %s is ready to use, but for its secret (F36)",
    async (platform, deployment, telling) => {
      const env = { GREETING: "it's; $(here)" };
      const part = { name: deployment, platform, deployment, config: { env, cpu: 2, memory: "4Gi", minInstances: 2 } };
      const { id, credentials } = await aRunner(api, part);
      const { status, json, text } = await api.get(`/v1/runners/${id}/deployment`);
      expect([status, json.platform, json.deployment]).toEqual([200, platform, deployment]);
      const whole = [...json.files.map(({ content }: { content: string }) => content), ...json.commands].join("\n");
      for (const said of ["https://maia.example.org", id, "GREETING", "MAIA_CLIENT_SECRET"])
        expect(whole).toContain(said);
      expect(whole).toMatch(telling);
      expect(text).not.toContain(credentials.clientSecret);
    },
  );

  it("has the runner's own image, else that of the newest release on its track", async () => {
    const imageOf = async (id: string) => (await api.get(`/v1/runners/${id}/deployment`)).json.image;
    const { id } = await aRunner(api, { name: "image", platform: "kubernetes", deployment: "manifests" });
    expect(await imageOf(id)).toBe("REGISTRY/maia-runner:current");
    const release = { version: "1.4.0", track: "current", releasedAt: "2026-11-01T00:00:00Z" };
    await api.post("/v1/runner-releases", { ...release, image: "registry.example.org/maia-runner:1.4.0" });
    expect(await imageOf(id)).toBe("registry.example.org/maia-runner:1.4.0");
    const config = { image: "mine.example.org/runner:7" };
    const { id: other } = await aRunner(api, { name: "own image", platform: "self_managed", config });
    expect(await imageOf(other)).toBe("mine.example.org/runner:7");
  });

  it("is not here for Snowflake, whose runner still has its parameters (F37)", async () => {
    const { id } = await aRunner(api, { name: "snow", platform: "snowflake" });
    const { status, json } = await api.get(`/v1/runners/${id}/deployment`);
    expect([status, json.code]).toEqual([404, "NOT_FOUND"]);
    expect((await api.get(`/v1/runners/${id}/parameters`)).status).toBe(200);
  });

  it("keeps what an operator writes out of the shell's reach", async () => {
    const config = { env: { A: "'; touch /tmp/x; '" } };
    const { id } = await aRunner(api, { name: "quoted", platform: "self_managed", deployment: "process", config });
    const [command] = (await api.get(`/v1/runners/${id}/deployment`)).json.commands;
    expect(command).toContain(`A=''\\''; touch /tmp/x; '\\'''`);
  });
});

describe("a runner's parameters", () => {
  it("are those that it needs, with their values, and then those that it can have (F38, F39)", async () => {
    const env = { MAIA_RUNNER_SLOTS: "8" };
    const { id } = await aRunner(api, { name: "parameters", platform: "azure", config: { env } });
    const { items } = (await api.get(`/v1/runners/${id}/parameters`)).json;
    const needed = items.filter((item) => item.needed);
    expect(needed.map(({ name, value }: { name: string; value: string | null }) => [name, value])).toEqual([
      ["MAIA_GATEWAY_URL", "https://maia.example.org"],
      ["MAIA_CLIENT_ID", id],
      ["MAIA_CLIENT_SECRET", null],
    ]);
    expect(needed[2]!.where).toContain("container app");
    const slots = items.find(({ name }: { name: string }) => name === "MAIA_RUNNER_SLOTS");
    expect(slots).toMatchObject({ needed: false, default: "4 for each core", value: "8" });
    for (const { meaning, where } of items) expect([meaning, where]).not.toContain("");
  });
});

describe("a runner's history", () => {
  it("is paged, newest first", async () => {
    const { id } = await aRunner(api, { name: "history" });
    for (let i = 0; i < 3; i++) await api.put(`/v1/runners/${id}/allowlist`, { projects: {} });
    const first = (await api.get(`/v1/runners/${id}/activity?limit=3`)).json;
    const rest = (await api.get(`/v1/runners/${id}/activity?limit=3&cursor=${first.nextCursor}`)).json;
    const actions = [...first.items, ...rest.items].map(({ action }: { action: string }) => action);
    expect(actions).toEqual(["ALLOWLIST", "ALLOWLIST", "ALLOWLIST", "CREATE"]);
    expect(rest.nextCursor).toBeNull();
    expect((await api.get(`/v1/runners/${id}/activity?cursor=nonsense`)).json.code).toBe("BAD_CURSOR");
  });
});

describe("releases", () => {
  const release = { version: "2.0.0", track: "stable", releasedAt: "2026-10-01T00:00:00Z" };

  it("are registered, changed by registering them again, and listed newest first (F32, F33)", async () => {
    expect((await api.post("/v1/runner-releases", release)).status).toBe(201);
    const newer = { ...release, version: "2.1.0", releasedAt: "2026-11-01T00:00:00.5Z", securityFix: true };
    expect((await api.post("/v1/runner-releases", newer)).status).toBe(201);
    expect((await api.post("/v1/runner-releases", { ...release, track: "current" })).status).toBe(201);
    const ended = { ...release, supportedUntil: "2026-11-15T00:00:00Z" };
    const changed = await api.post("/v1/runner-releases", ended);
    expect([changed.status, changed.json.supportedUntil]).toEqual([200, "2026-11-15T00:00:00.000Z"]);
    const first = (await api.get("/v1/runner-releases?track=stable&limit=1")).json;
    const second = (await api.get(`/v1/runner-releases?track=stable&limit=1&cursor=${first.nextCursor}`)).json;
    expect([first.items[0].version, second.items[0].version, second.nextCursor]).toEqual(["2.1.0", "2.0.0", null]);
    expect(first.items[0]).toMatchObject({ securityFix: true, releasedAt: "2026-11-01T00:00:00.500Z" });
  });

  it("are refused where they make no sense, and are for administrators", async () => {
    const pointer = async (part: object) =>
      (await api.post("/v1/runner-releases", { ...release, ...part })).json.errors[0].pointer;
    expect(await pointer({ version: "latest" })).toBe("/version");
    expect(await pointer({ track: "nightly" })).toBe("/track");
    expect(await pointer({ releasedAt: "yesterday" })).toBe("/releasedAt");
    expect(await pointer({ supportedUntil: "2026-09-01T00:00:00Z" })).toBe("/supportedUntil");
    expect(await pointer({ image: "a b" })).toBe("/image");
    const key = await api.keyOf("editor");
    expect((await api.post("/v1/runner-releases", release, { key })).status).toBe(403);
    expect((await api.get("/v1/runner-releases", { key })).status).toBe(200);
  });
});
