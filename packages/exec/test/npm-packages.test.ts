import { describe, expect, it } from "@jest/globals";
import { depsHash } from "@maia/domain";
import type { Task, TaskDeps } from "@maia/runner-protocol";
import { levelsHere, type Outcome, Workshop } from "./kit.js";
import { NpmRegistry } from "./npm-registry.js";

const levels = await levelsHere();
const IMPORTS = `import one from "one"; export default () => ({ one });`;

/** A task that installs a map of npm packages, and, given what it left, the map with its lock. */
function depsOf(npm: Record<string, string>, lock: string | null = null, allowScripts?: string[]): TaskDeps {
  const dependencies = { npm, python: [], ...(allowScripts ? { allowScripts } : {}) };
  return { ...dependencies, lock, hash: depsHash(dependencies, lock) };
}

function installing(workshop: Workshop, deps: TaskDeps): Task {
  return workshop.task("node", "", { kind: "deps", deps });
}

function lockOf(workshop: Workshop, { artifacts }: Outcome): string {
  return workshop.kept.get(artifacts.find(({ name }) => name === "lock.json")!.sha256)!.toString();
}

describe.each(levels)("npm packages at the level %s", (level) => {
  it("are resolved once, pinned by a lock, and imported by steps (G20)", async () => {
    await using registry = await NpmRegistry.open();
    registry.publish("two", { version: "2.0.0" });
    registry.publish("one", {
      version: "1.0.0",
      dependencies: { two: "^2.0.0" },
      main: "exports.two = require('two');",
    });
    await using workshop = await Workshop.open(level, { poolSize: 1 }, { npmRegistry: registry.url });
    const installed = await workshop.run(installing(workshop, depsOf({ one: "^1.0.0" })));
    expect(installed.exit).toMatchObject({ exitCode: 0, reason: "exited", error: null });
    expect(installed.lines("system").join("\n")).toContain("npm install: 1 package");
    const deps = depsOf({ one: "^1.0.0" }, lockOf(workshop, installed));
    expect(installed.output).toEqual({ hash: deps.hash });

    const step = await workshop.run(workshop.task("node", IMPORTS, { deps }));
    expect(step.output).toEqual({ one: { two: { name: "two", version: "2.0.0" } } });
    const shell = `node -p 'JSON.stringify(require("one"))' > "$MAIA_OUTPUT_PATH"`;
    const byShell = await workshop.run(workshop.task("shell", shell, { deps }));
    expect({ one: byShell.output }).toEqual(step.output);
    const reused = { deps, reuseKey: "version/environment" };
    for (let round = 0; round < 2; round++)
      expect((await workshop.run(workshop.task("node", IMPORTS, reused))).output).toEqual(step.output);
  });
});
