import { describe, expect, it } from "@jest/globals";

import { PROTOCOL_VERSION } from "@maia/runner-protocol";
import { depsHash } from "../../../packages/domain/src/deps-hash.js";
import { NpmRegistry } from "../../../packages/exec/test/npm-registry.js";
import { RunnerHome } from "./support/process.js";
import { TOKEN, upload } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

describe("POST /v1/exec/deps", () => {
  it("streams the installer's lines as NDJSON, then the lock and one exit that accounts for all", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("one", { version: "1.0.0" });
    await using home = await RunnerHome.open();
    const runner = await home.start({ MAIA_NPM_REGISTRY: registry.url });
    const packages = { npm: { one: "^1.0.0" }, python: [] };
    const deps = { ...packages, lock: null, hash: depsHash(packages, null) };
    const { task, bytes } = aTask({ kind: "deps", deps });
    await upload(runner.client, bytes);
    const response = await fetch(`${runner.url}/v1/exec/deps`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${TOKEN}`,
        "content-type": "application/json",
        "maia-protocol": PROTOCOL_VERSION,
      },
      body: JSON.stringify(task),
    });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
    const text = await response.text();
    const frames = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const numbered = frames.filter(({ type }) => type !== "heartbeat" && type !== "exit");
    expect(numbered.map(({ seq }) => seq)).toEqual(numbered.map((_, at) => at + 1));
    expect(numbered.filter(({ type }) => type === "log").map(({ line }) => line)).toContain("npm install: 1 package");
    expect(numbered.find(({ type }) => type === "artifact")).toMatchObject({ name: "lock.json" });
    expect(frames.at(-1)).toMatchObject({ type: "exit", lastSeq: numbered.length, exitCode: 0, error: null });
  });
});
