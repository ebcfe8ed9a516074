import { describe, expect, it } from "@jest/globals";
import { NpmRegistry } from "../../../packages/exec/test/npm-registry.ts";
import { Deployment, type Shape } from "./support/deployments.ts";

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
});

/** What the steps of a run found. */
async function versions({ client }: Deployment, runId: string): Promise<unknown[]> {
  const outputs = (await client.artifacts(runId)).filter(({ name, system }) => system && name === "output.json");
  const texts = await Promise.all(outputs.map(async ({ id }) => Buffer.from(await client.content(id)).toString()));
  return texts.map((text) => JSON.parse(text).data.version);
}
