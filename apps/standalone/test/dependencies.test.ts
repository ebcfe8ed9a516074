import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import { NpmRegistry } from "../../../packages/exec/test/npm-registry.ts";
import { PythonIndex } from "../../../packages/exec/test/python-index.ts";
import { Deployment, type Shape } from "./support/deployments.ts";
import { eventually } from "./support/processes.ts";

const script = `import one from "one"; export default () => ({ version: one.version });`;

function workflow(name: string, steps = 1, range = "^1.0.0") {
  const keys = Array.from({ length: steps }, (_, at) => `step-${at}`);
  return { name, dependencies: { npm: { one: range } }, steps: keys.map((key) => ({ key, script })) };
}

describe.each<Shape>(["local", "runner"])("npm packages of a workflow, %s", (shape) => {
  it("are the same for every run of a version, whatever is published meanwhile (G20)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using maia = await Deployment.start(shape, { MAIA_NPM_REGISTRY: registry.url });
    const { client } = maia;
    await client.apply(workflow("pinned", 3));
    const first = await client.finished((await client.submit("pinned")).id);
    expect({ status: first.status, failure: first.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    const lines = await client.logs(first.id);
    expect(lines.filter(({ stream }) => stream === "system").map(({ line }) => line)).toContain(
      "npm install: 1 package",
    );
    for (const { key } of first.steps) {
      const own = lines.filter(({ stepKey }) => stepKey === key).map(({ seq }) => seq);
      expect(own).toEqual(own.map((_, at) => at + 1));
    }
    expect(registry.asked.filter((path) => path.endsWith(".tgz"))).toHaveLength(1);

    registry.publish("one", { version: "1.1.0" });
    const again = await client.finished((await client.submit("pinned")).id);
    expect(await versions(maia, again.id)).toEqual(["1.0.0", "1.0.0", "1.0.0"]);
    await client.apply({ ...workflow("pinned", 3), description: "another version" });
    const newer = await client.finished((await client.submit("pinned")).id);
    expect(await versions(maia, newer.id)).toEqual(["1.1.0", "1.1.0", "1.1.0"]);
  });

  it("that cannot be had fail the run with the last lines of npm", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using maia = await Deployment.start(shape, { MAIA_NPM_REGISTRY: registry.url });
    const { client } = maia;
    await client.apply(workflow("absent", 1, "^7.0.0"));
    const run = await client.finished((await client.submit("absent")).id);
    expect(run).toMatchObject({ status: "FAILED", failure: { code: "DEPS_INSTALL_FAILED", stepKey: "step-0" } });
    expect(run.failure!.message).toMatch(/exit code 1[\s\S]*ETARGET[\s\S]*one@\^7\.0\.0/);
    expect(run.steps[0]!.attempts[0]!.startedAt).toBeNull();
    expect((await client.logs(run.id)).some(({ line }) => line.includes("ETARGET"))).toBe(true);
  });

  it("are no longer installed for a run that is canceled, and still for another that needs them (F70, G16)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using maia = await Deployment.start(shape, { MAIA_NPM_REGISTRY: registry.url });
    const { client } = maia;
    await client.apply(workflow("shared"));
    registry.hold();
    const jobs = [await client.submit("shared"), await client.submit("shared")];
    await eventually("the registry is asked", async () => registry.asked.length > 0);
    const why = await client.get<{ reasons?: { code: string }[] }>(`/v1/jobs/${jobs[0]!.id}/why`);
    expect(JSON.stringify(why)).toContain("STEP_PREPARING");
    await client.call("POST", `/v1/jobs/${jobs[0]!.id}/cancel`, {});
    expect(await client.finished(jobs[0]!.id)).toMatchObject({ status: "CANCELED" });
    registry.release();
    expect(await client.finished(jobs[1]!.id)).toMatchObject({ status: "SUCCEEDED" });

    registry.publish("one", { version: "2.0.0" });
    await client.apply(workflow("alone", 1, "^2.0.0"));
    registry.hold();
    const asked = registry.asked.length;
    const alone = await client.submit("alone");
    await eventually("the registry is asked", async () => registry.asked.length > asked);
    await client.call("POST", `/v1/jobs/${alone.id}/cancel`, {});
    expect(await client.finished(alone.id)).toMatchObject({ status: "CANCELED" });
    registry.release();
    const sets = await readdir(path.join(depsOf(maia, shape), "sets"));
    expect(sets).toHaveLength(1);
  });

  it("are installed by who comes next when everything is killed while they are installed (F69)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using maia = await Deployment.start(shape, { MAIA_NPM_REGISTRY: registry.url });
    const { client } = maia;
    await client.apply(workflow("killed"));
    registry.hold();
    const job = await client.submit("killed");
    await eventually("the registry is asked", async () => registry.asked.length > 0);
    const names = [...maia.processes.keys()];
    await Promise.all(names.map((name) => maia.part(name).kill()));
    expect(await readdir(path.join(depsOf(maia, shape), "sets"))).toEqual([]);
    registry.release();
    for (const name of names) maia.spawn(name);
    await eventually("Maia is back", async () => (await fetch(`${maia.url}/readyz`)).ok);
    const run = await client.finished(job.id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    for (const attempt of run.steps[0]!.attempts) {
      const lines = (await client.logs(run.id)).filter(({ attemptNo }) => attemptNo === attempt.no);
      expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, at) => at + 1));
    }
  });
});

describe("packages of a version that is pinned", () => {
  it("are installed as the lock says by a runner that lost them (G20)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using maia = await Deployment.start("runner", { MAIA_NPM_REGISTRY: registry.url });
    const { client } = maia;
    await client.apply(workflow("moved"));
    const hash = async () => (await client.get<{ depsHash: string }>("/v1/workflows/moved/versions/1")).depsHash;
    const before = await hash();
    await client.finished((await client.submit("moved")).id);
    const after = await hash();
    expect(after).not.toBe(before);
    registry.publish("one", { version: "1.5.0" });
    await maia.part("runner").kill();
    await rm(depsOf(maia, "runner"), { recursive: true });
    maia.spawn("runner");
    const run = await client.finished((await client.submit("moved")).id);
    expect(await versions(maia, run.id)).toEqual(["1.0.0"]);
    expect((await client.logs(run.id)).map(({ line }) => line)).toContain("npm ci: 1 package");
    expect(await hash()).toBe(after);
    expect((await readdir(path.join(depsOf(maia, "runner"), "sets")))[0]).toContain(after);
  });

  it("may be of both kinds", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using index = await PythonIndex.open();
    index.publish("two", "2.0.0");
    await using maia = await Deployment.start("local", {
      MAIA_NPM_REGISTRY: registry.url,
      MAIA_PYTHON_INDEX: index.url,
    });
    const { client } = maia;
    const python = {
      key: "py",
      runtime: "python" as const,
      script: "import two\ndef main(ctx):\n  return {'version': two.VERSION}",
    };
    const both = workflow("both");
    await client.apply({
      ...both,
      dependencies: { npm: { one: "1.0.0" }, python: ["two>=2"] },
      steps: [...both.steps, python],
    });
    const run = await client.finished((await client.submit("both")).id);
    expect({ status: run.status, failure: run.failure }).toEqual({ status: "SUCCEEDED", failure: null });
    expect((await versions(maia, run.id)).sort()).toEqual(["1.0.0", "2.0.0"]);
  });
});

/** Where the sets of whoever runs the steps lie. */
function depsOf({ dataDir, env }: Deployment, shape: Shape): string {
  return shape === "local" ? path.join(dataDir, "deps") : path.join(env.MAIA_RUNNER_DATA_DIR ?? "", "deps");
}

/** What the steps of a run found. */
async function versions({ client }: Deployment, runId: string): Promise<unknown[]> {
  const outputs = (await client.artifacts(runId)).filter(({ name, system }) => system && name === "output.json");
  const texts = await Promise.all(outputs.map(async ({ id }) => Buffer.from(await client.content(id)).toString()));
  return texts.map((text) => JSON.parse(text).data.version);
}
