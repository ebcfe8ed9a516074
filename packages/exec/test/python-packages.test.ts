import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { depsHash } from "@maia/domain";
import type { TaskDeps } from "@maia/runner-protocol";
import { levelsHere, type Outcome, Workshop } from "./kit.js";
import { PythonIndex } from "./python-index.js";
import { tarOf } from "./tar.js";

const levels = await levelsHere();
const IMPORTS = "import one\ndef main(ctx):\n  return {'version': one.VERSION}";

function depsOf(python: string[], lock: string | null = null): TaskDeps {
  const dependencies = { npm: {}, python };
  return { ...dependencies, lock, hash: depsHash(dependencies, lock) };
}

function install(workshop: Workshop, deps: TaskDeps): Promise<Outcome> {
  return workshop.run(workshop.task("python", "", { kind: "deps", deps }));
}

async function pinned(workshop: Workshop, python: string[]): Promise<TaskDeps> {
  const { exit, artifacts } = await install(workshop, depsOf(python));
  expect(exit.error).toBeNull();
  return depsOf(python, workshop.kept.get(artifacts.find(({ name }) => name === "lock.json")!.sha256)!.toString());
}

describe.each(levels)("Python packages at the level %s", (level) => {
  it("are resolved once, pinned by a lock, and found by fresh and reused steps (G20)", async () => {
    await using index = await PythonIndex.open();
    index.publish("two", "2.0.0");
    index.publish("one", "1.0.0", "from two import VERSION", ["two>=2"]);
    await using workshop = await Workshop.open(level, { poolSize: 1 }, { pythonIndex: index.url });
    const deps = await pinned(workshop, ["one>=1"]);
    index.publish("two", "2.5.0");
    const fresh = await workshop.run(workshop.task("python", IMPORTS, { deps }));
    expect(fresh.output).toEqual({ version: "2.0.0" });
    await using other = await Workshop.open(level, {}, { pythonIndex: index.url });
    for (let round = 0; round < 2; round++) {
      const reused = await other.run(other.task("python", IMPORTS, { deps, reuseKey: "version/environment" }));
      expect(reused.output).toEqual({ version: "2.0.0" });
    }
  });
});

describe("Python packages", () => {
  const open = ({ url }: PythonIndex) => Workshop.open("auto", {}, { pythonIndex: url });

  it("come before those of the machine, and after Python's own modules", async () => {
    await using index = await PythonIndex.open();
    index.publish("pip", "99.0");
    index.publish("json", "99.0");
    await using workshop = await open(index);
    const deps = await pinned(workshop, ["pip", "json"]);
    const script = "import json, pip\ndef main(ctx):\n  return {'pip': pip.VERSION, 'own': hasattr(json, 'VERSION')}";
    const { output } = await workshop.run(workshop.task("python", script, { deps }));
    expect(output).toEqual({ pip: "99.0", own: false });
  });

  it("are pinned with the hashes that they have on other platforms, of the same version", async () => {
    await using index = await PythonIndex.open();
    index.publish("one", "1.0.0");
    const other = (file: string, text: string) => {
      index.put("one", file, Buffer.from(text));
      return createHash("sha256").update(text).digest("hex");
    };
    const arm = other("one-1.0.0-cp311-cp311-manylinux_2_28_aarch64.whl", "for another machine");
    const older = other("one-0.9.0-py3-none-any.whl", "another version");
    const source = other("one-1.0.0.tar.gz", "to be built");
    await using workshop = await open(index);
    const { sha256 } = JSON.parse((await pinned(workshop, ["one"])).lock!).python[0];
    expect(sha256).toHaveLength(2);
    expect(sha256).toContain(arm);
    for (const hash of [older, source]) expect(sha256).not.toContain(hash);
  });

  it("whose bytes changed behind the lock are refused with the tool's last lines (B053)", async () => {
    await using index = await PythonIndex.open();
    index.publish("one", "1.0.0");
    await using first = await open(index);
    const deps = await pinned(first, ["one"]);
    index.publish("one", "1.0.0", "VERSION = 'evil'");
    await using second = await open(index);
    const { exit } = await second.run(second.task("python", IMPORTS, { deps }));
    expect(exit).toMatchObject({ reason: "spawn_failed", error: { code: "DEPS_INSTALL_FAILED" } });
    expect(exit.error!.message).toMatch(/DO NOT MATCH THE HASHES/);
  });

  it("that would have to be built are refused: building runs their code (S16)", async () => {
    await using index = await PythonIndex.open();
    index.put("one", "one-1.0.0.tar.gz", gzipSync(tarOf({ "one-1.0.0/setup.py": "raise SystemExit(1)" })));
    await using workshop = await open(index);
    const { exit } = await install(workshop, depsOf(["one"]));
    expect(exit.error).toMatchObject({
      code: "DEPS_INSTALL_FAILED",
      message: expect.stringMatching(/No matching distribution found for one/),
    });
  });
});
