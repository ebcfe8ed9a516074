import { readFileSync } from "node:fs";
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
  ["kubernetes", "manifests", /terminationGracePeriodSeconds: 43260/],
  ["self_managed", "docker", /docker run .*--stop-timeout 43260/],
  ["self_managed", "systemd", /RestartPreventExitStatus=2 77 78$/m],
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

describe("what a deployment is given", () => {
  const written = async (part: object) => {
    const { id } = await aRunner(api, part);
    const { json } = await api.get(`/v1/runners/${id}/deployment`);
    const whole = [...json.files.map(({ content }: { content: string }) => content), ...json.commands].join("\n");
    return { whole, notes: json.notes.join("\n") as string };
  };

  it.each([
    [{ cpu: 0.3 }, "512", "1024"],
    [{ cpu: 4 }, "4096", "8192"],
    [{ cpu: "250m", memory: "3Gi" }, "512", "3072"],
    [{ cpu: 3, memory: 9_000 }, "4096", "9216"],
    [{ cpu: 100, memory: "1Ti" }, "16384", "122880"],
  ])("is a size that Fargate has, for %j", async (config, cpu, memory) => {
    const { whole } = await written({ name: `sized ${cpu}/${memory}`, platform: "aws", config });
    expect(JSON.parse(whole.slice(0, whole.lastIndexOf("}\n") + 1).trim())).toMatchObject({ cpu, memory });
  });

  it("reaches the process as it was written, whoever reads it on the way", async () => {
    const env = { QUOTED: `"a\\b" $(HOME)`, LINES: "one\ntwo" };
    const systemd = await written({ name: "read by systemd", deployment: "systemd", config: { env } });
    expect(systemd.whole).toContain('QUOTED="\\"a\\\\b\\" \\$(HOME)"\nLINES="one\ntwo"\n');
    const docker = await written({ name: "read by Docker", config: { env } });
    expect(docker.whole).toContain(`QUOTED="a\\b" $(HOME)\n`);
    expect([docker.whole.includes("LINES"), docker.notes.includes("give LINES with --env")]).toEqual([false, true]);
    const pods = await written({
      name: "read by Kubernetes",
      platform: "kubernetes",
      deployment: "manifests",
      config: { env },
    });
    expect(pods.whole).toContain(JSON.stringify(`"a\\b" $$(HOME)`));
  });

  it.each([
    ["aws", "fargate"],
    ["gcp", "gke"],
    ["kubernetes", "manifests"],
    ["self_managed", "docker"],
    ["self_managed", "process"],
  ])("has one data directory, the operator's own where there is one: %s, %s", async (platform, deployment) => {
    const config = { env: { MAIA_RUNNER_DATA_DIR: "/mnt/own" }, minInstances: 0 };
    const { whole } = await written({ name: `own ${deployment}`, platform, deployment, config });
    expect(whole.match(/MAIA_RUNNER_DATA_DIR/g)).toHaveLength(1);
    expect(whole).toContain("/mnt/own");
    if (deployment === "docker") expect(whole).toContain("docker run");
  });

  it.each([
    ["aws", "fargate", "east 1", "east-1"],
    ["kubernetes", "manifests", "Nord", "nord"],
    ["self_managed", "systemd", "\u00fc", "\u00e9"],
    ["azure", "container_app", "warehouse-production-eu", "warehouse-production-us"],
  ])("has a name of its own on %s as %s: %s and %s", async (platform, deployment, one, other) => {
    const nameIn = async (name: string) => {
      const { whole } = await written({ name, platform, deployment });
      return /maia-runner[a-z0-9-]+/.exec(whole)![0];
    };
    const names = [await nameIn(one), await nameIn(other)];
    expect(names[0]).not.toBe(names[1]);
    if (deployment === "container_app") for (const name of names) expect(name.length).toBeLessThanOrEqual(32);
  });

  it("says where STOP does not keep a runner stopped, and where its address is of no use", async () => {
    expect((await written({ name: "pods", platform: "kubernetes" })).notes).toContain("scale it to 0");
    expect((await written({ name: "unit", deployment: "systemd" })).notes).not.toContain("scale it to 0");
    await using here = await openTestApi();
    const { id } = await aRunner(here, { name: "far" });
    const { notes } = (await here.get(`/v1/runners/${id}/deployment`)).json;
    expect(notes.join()).toContain("MAIA_PUBLIC_URL");
    await using plain = await openTestApi({ publicUrl: new URL("http://maia.example.org/") });
    const { id: other } = await aRunner(plain, { name: "plain" });
    expect((await plain.get(`/v1/runners/${other}/deployment`)).json.notes.join()).toContain("MAIA_TRUST_PROXY=1");
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

describe("what a runner can be told", () => {
  it("is the same in its guide, its parameters and its configuration (F39)", async () => {
    const guide = readFileSync(new URL("../../../docs/guides/runners.md", import.meta.url), "utf8");
    const [, settings = ""] = /^## Settings$([\s\S]*?)^## /m.exec(guide) ?? [];
    const inGuide = settings.split("\n").flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`(\w+)`/g)]);
    const named = inGuide.map(([, name]) => name!);
    const { id } = await aRunner(api, { name: "told" });
    const { items } = (await api.get(`/v1/runners/${id}/parameters`)).json;
    expect(items.map(({ name }: { name: string }) => name).sort()).toEqual(named.sort());
    const tunable = items.filter(({ needed }: { needed: boolean }) => !needed);
    const env = Object.fromEntries(tunable.map(({ name }: { name: string }) => [name, "1"]));
    const part = { name: "tuned", platform: "self_managed", config: { env } };
    expect((await api.post("/v1/runners", part)).status).toBe(201);
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
