import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "@jest/globals";
import { Client } from "./support/client.ts";
import { Deployment, type Shape } from "./support/deployments.ts";

const VALUE = "hunter2/päss word+s3cr3t";
const URL_FORM = encodeURIComponent(VALUE);
const BASE64 = Buffer.from(VALUE).toString("base64");
const FORMS = [VALUE, URL_FORM, BASE64, "s3cr3t"];

const node = `
  import { writeFileSync } from "node:fs";
  export default async function ({ env, artifacts }) {
    const value = env.TOKEN;
    process.stdout.write("cut " + value.slice(0, 9));
    await new Promise((done) => setTimeout(done, 30));
    process.stdout.write(value.slice(9) + " here\\n");
    console.error(Buffer.from(value).toString("base64"), encodeURIComponent(value), JSON.stringify({ value }));
    await artifacts.write("of " + encodeURIComponent(value) + ".txt", "plain");
    await artifacts.write("of " + Buffer.from(value).toString("base64url") + ".txt", "plain");
    return { value, deep: [{ ["k" + value]: "x" + value + "y" }], length: value.length };
  }`;
const python = `
import os, base64, urllib.parse, sys
def main(ctx):
    value = os.environ["TOKEN"]
    print("python", value, base64.b64encode(("x" + value + "yz").encode()).decode(), urllib.parse.quote(value))
    print(value, file=sys.stderr)
    return {"value": value}`;
const shell = `echo "shell $TOKEN"; echo "other: \${OTHER:-none}"; printf '%s' "$TOKEN" | base64; printf '{"value": "%s"}' "$TOKEN" > "$MAIA_OUTPUT_PATH"`;
const failing = `export default ({ env }) => { throw new Error("cannot reach " + env.TOKEN); }`;

async function put(maia: Deployment, name: string, value: string, environment = "default"): Promise<number> {
  return (await maia.client.call("PUT", `/v1/environments/${environment}/secrets/${name}`, { value })).status;
}

async function outputOf({ client }: Deployment, runId: string, stepKey: string): Promise<unknown> {
  const all = await client.artifacts(runId);
  const { id } = all.find((one) => one.stepKey === stepKey && one.name === "output.json")!;
  return (await client.get<{ data: unknown }>(`/v1/artifacts/${id}/content`)).data;
}

/** Every file below a folder that holds one of the texts. */
async function filesWith(folder: string, texts: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    if (texts.some((text) => bytes.includes(text))) found.push(file);
  }
  return found;
}

describe.each<Shape>(["local", "runner"])("secrets, %s", (shape) => {
  it("reach the steps that name them, and nothing that is kept or shown (G32, B124)", async () => {
    await using maia = await Deployment.start(shape);
    const { client } = maia;
    expect(await put(maia, "TOKEN", "first value")).toBe(201);
    expect(await put(maia, "TOKEN", VALUE)).toBe(200);
    await client.apply({
      name: "quiet",
      env: { TOKEN: "of the workflow" },
      steps: [
        { key: "node", runtime: "node", script: node, secrets: ["TOKEN"] },
        { key: "python", runtime: "python", script: python, secrets: ["TOKEN"] },
        { key: "shell", runtime: "shell", script: shell, secrets: ["TOKEN"] },
        { key: "without", runtime: "shell", script: 'echo "has $TOKEN"' },
      ],
    } as never);
    const run = await client.finished((await client.submit("quiet")).id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    const lines = await client.logs(run.id);
    const of = (key: string, stream = "stdout") =>
      lines.filter((line) => line.stepKey === key && line.stream === stream).map(({ line }) => line);
    expect(of("node")).toEqual(["cut *** here"]);
    expect(of("node", "stderr")).toEqual(['*** *** {"value":"***"}']);
    expect(of("python")[0]).toMatch(/^python \*\*\* eG\*\*\*\w{4}== \*\*\*$/);
    expect(of("shell")).toEqual(["shell ***", "other: none", "***"]);
    expect(of("without")).toEqual(["has of the workflow"]);
    const kept = (await client.artifacts(run.id)).filter(({ system }) => !system).map(({ name }) => name);
    expect(kept.sort()).toEqual(["of ***.txt", "of ***.txt.2"]);
    expect(await outputOf(maia, run.id, "node")).toEqual({ value: "***", deep: [{ "k***": "x***y" }], length: 24 });
    expect(await outputOf(maia, run.id, "shell")).toEqual({ value: "***" });

    await client.apply({ name: "loud", secrets: ["TOKEN"], steps: [{ key: "a", script: failing }] } as never);
    const failed = await client.finished((await client.submit("loud")).id);
    expect(failed).toMatchObject({
      status: "FAILED",
      failure: { message: expect.stringContaining("cannot reach ***") },
    });

    await client.apply({
      name: "shared",
      reuse: true,
      steps: [
        {
          key: "a",
          script: `export default ({ env }) => { console.log(env.TOKEN); return { has: env.TOKEN } }`,
          secrets: ["TOKEN"],
        },
        { key: "b", script: `export default () => ({ has: process.env.TOKEN ?? "nothing" })`, deps: ["a"] },
      ],
      outputsSpec: { version: 1, outputs: { a: { stepKey: "a", field: "has" }, b: { stepKey: "b", field: "has" } } },
    } as never);
    const shared = await client.finished((await client.submit("shared")).id);
    expect(shared.outputs).toEqual({ a: "***", b: "nothing" });

    const shown = await Promise.all(
      ["secrets", "secrets/TOKEN"].map((rest) => client.call("GET", `/v1/environments/default/${rest}`)),
    );
    expect(shown[0]!.body).toMatchObject({ items: [{ name: "TOKEN" }], nextCursor: null });
    expect(JSON.stringify([shown, run, failed, lines])).not.toContain("s3cr3t");
    expect(await filesWith(path.dirname(maia.dataDir), FORMS)).toEqual([]);
    expect(FORMS.filter((form) => [...maia.processes.values()].some(({ log }) => log.includes(form)))).toEqual([]);
    expect((await stat(path.join(maia.dataDir, "secret-key"))).mode & 0o777).toBe(0o600);
  });

  it("that is not set, or cannot be decrypted, fails the attempt by its name", async () => {
    await using maia = await Deployment.start(shape);
    const { client } = maia;
    await client.apply({
      name: "needs",
      secrets: ["TOKEN"],
      steps: [{ key: "a", runtime: "shell", script: ":" }],
    } as never);
    const failureOf = async () => (await client.finished((await client.submit("needs")).id)).failure;
    expect(await failureOf()).toMatchObject({
      code: "STEP_SPAWN_FAILED",
      message: "the secret TOKEN is not set in the run's environment",
    });
    expect(await put(maia, "TOKEN", VALUE)).toBe(201);
    expect(await failureOf()).toBeNull();
    await writeFile(path.join(maia.dataDir, "secret-key"), `${Buffer.alloc(32, 7).toString("base64")}\n`);
    expect((await failureOf())?.message).toMatch(
      /^the secret TOKEN was encrypted with the key [0-9a-f]{16}, but .* holds /,
    );
    expect((await client.call("DELETE", "/v1/environments/default/secrets/TOKEN")).status).toBe(204);
    expect((await failureOf())?.message).toContain("is not set");
  });

  it("of another environment, or changed where it is stored, is refused (S17)", async () => {
    await using maia = await Deployment.start(shape);
    const { client } = maia;
    await client.call("POST", "/v1/projects/default/environments", { name: "staging" });
    expect([await put(maia, "TOKEN", VALUE), await put(maia, "TOKEN", "of staging", "staging")]).toEqual([201, 201]);
    await client.apply({
      name: "needs",
      secrets: ["TOKEN"],
      steps: [{ key: "a", runtime: "shell", script: ":" }],
    } as never);
    const run = async (environment: string) =>
      (await client.finished((await client.submit("needs", { environment })).id)).failure;
    expect([await run("default"), await run("staging")]).toEqual([null, null]);
    using db = new DatabaseSync(path.join(maia.dataDir, "maia.db"), { timeout: 10_000 });
    db.exec(`UPDATE "Secret" SET "sealed" = (SELECT max("sealed") FROM "Secret")`);
    const failures = (await Promise.all([run("default"), run("staging")])).filter((failure) => failure !== null);
    expect(failures).toMatchObject([
      {
        code: "STEP_SPAWN_FAILED",
        stepKey: "a",
        message: expect.stringMatching(
          /^the secret TOKEN was changed where it is stored, or belongs to another environment/,
        ),
      },
    ]);
  });

  it("is encrypted anew with a new key at the next start, and the old key can go (S17)", async () => {
    const [old, next] = [7, 8].map((byte) => Buffer.alloc(32, byte).toString("base64"));
    await using maia = await Deployment.start(shape, { MAIA_SECRET_KEY: old! });
    const { client } = maia;
    expect(await put(maia, "TOKEN", VALUE)).toBe(201);
    await client.apply({
      name: "needs",
      secrets: ["TOKEN"],
      steps: [{ key: "a", runtime: "shell", script: ":" }],
    } as never);
    for (const keys of [`${next},${old}`, next!]) {
      await maia.part("up").stop();
      maia.env.MAIA_SECRET_KEY = keys;
      maia.spawn("up");
      await Client.connect(maia.url, maia.dataDir);
      expect((await client.finished((await client.submit("needs")).id)).failure).toBeNull();
    }
    expect(maia.part("up").log).not.toContain("encrypted with the key");
  });
});
