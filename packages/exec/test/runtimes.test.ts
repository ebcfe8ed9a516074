import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Task } from "@maia/runner-protocol";
import { levelsHere, Workshop } from "./kit.js";

const levels = await levelsHere();

const OWN_NAMES = [
  "HOME",
  "LANG",
  "MAIA_ARTIFACTS_DIR",
  "MAIA_ATTEMPT_DIR",
  "MAIA_ATTEMPT_ID",
  "MAIA_ATTEMPT_NO",
  "MAIA_INPUT_PATH",
  "MAIA_OUTPUT_PATH",
  "MAIA_RUN_DIR",
  "MAIA_RUN_ID",
  "MAIA_STEP_KEY",
  "MAIA_WORKFLOW_ID",
  "PATH",
  "TZ",
];

const CONTEXT = {
  node: "export default ({ params, files, upstream, run, input }) => ({ params, files, upstream, run, input });",
  python: "def main(ctx):\n  return {k: ctx[k] for k in ('params', 'files', 'upstream', 'run', 'input')}",
};

const ENVIRONMENT = {
  node: "export default (ctx) => ({ env: { ...process.env }, ctx: ctx.env });",
  python: "import os\ndef main(ctx):\n  return {'env': dict(os.environ), 'ctx': ctx.env}",
  shell:
    'env -0 | tr "\\0\\n" "\\n " | sed -e \'s/\\\\/\\\\\\\\/g; s/"/\\\\"/g; s/^\\([^=]*\\)=\\(.*\\)$/"\\1":"\\2",/\' > lines; ' +
    'printf \'{"env":{%s"_":""}}\' "$(cat lines)" > "$MAIA_OUTPUT_PATH"',
};

describe.each(levels)("a step at the level %s", (level) => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open(level);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  it.each(["node", "python"] as const)("gets its context in %s", async (runtime) => {
    const task = workshop.task(runtime, CONTEXT[runtime], {
      initialInput: { top: 3, files: [{ id: "file_1", name: "a.csv", path: "inputs/a.csv", status: "READY" }] },
      upstream: { parse: { rows: 7 } },
      files: { "inputs/a.csv": "a,b\n" },
    });
    const { output, exit, frames } = await workshop.run(task);
    expect(exit).toEqual({ type: "exit", lastSeq: 2, exitCode: 0, signal: null, reason: "exited", error: null });
    expect(frames[0]).toMatchObject({ type: "started", seq: 1, attemptId: task.attemptId, isolation: level });
    expect(output).toMatchObject({
      params: { top: 3 },
      files: [{ id: "file_1", path: expect.stringMatching(/^\/.*\/run\/inputs\/a\.csv$/) }],
      upstream: { parse: { rows: 7 } },
      run: { runId: "run_1", stepKey: "step", attemptNo: 1, attemptId: task.attemptId, workflowId: "wf_1" },
      input: { runId: "run_1", initialInput: { top: 3 } },
    });
  });

  it.each(["node", "python", "shell"] as const)("sees exactly the allowed environment in %s (G30)", async (runtime) => {
    const env = { REPORT_STYLE: "short", PLAIN: "a", GREETING: 'it\'s "good" \\ $HOME' };
    const task = workshop.task(runtime, ENVIRONMENT[runtime], { env, secrets: { PLAIN: "b" } });
    const { output, exit, lines } = await workshop.run(task).then((run) => ({ ...run, ...pick(run) }));
    expect({ exit, lines }).toMatchObject({ exit: { exitCode: 0 }, lines: [] });
    const seen = output!.env as Record<string, string>;
    const shellsOwn = runtime === "shell" ? ["_", "PWD", "OLDPWD", "SHLVL"] : [];
    const names = Object.keys(seen).filter((name) => !shellsOwn.includes(name));
    expect(names.sort()).toEqual([...OWN_NAMES, ...Object.keys(env)].sort());
    expect(seen).toMatchObject({ ...env, PLAIN: "b", MAIA_ATTEMPT_ID: task.attemptId, MAIA_ATTEMPT_NO: "1" });
    if (runtime !== "shell") expect(output!.ctx).toEqual(seen);
  });

  it.each([
    ["node", "export default async () => {}"],
    ["python", "def main(ctx):\n  pass"],
    ["shell", ":"],
  ] as const)("that gives nothing back in %s has an empty output", async (runtime, script) => {
    const { output, exit } = pick(await workshop.run(workshop.task(runtime, script)));
    expect({ output, exit }).toMatchObject({ output: {}, exit: { exitCode: 0, error: null } });
  });

  it.each([
    ["node", "export default () => [1]"],
    ["node", "export default () => 'text'"],
    ["node", "export default () => null"],
    ["node", "const a = {}; a.a = a; export default () => a"],
    ["node", "export default () => ({ big: 'x'.repeat(600_000) })"],
    ["python", "def main(ctx):\n  return [1]"],
    ["python", "def main(ctx):\n  return {'x': float('nan')}"],
    ["python", "def main(ctx):\n  return {'x': object()}"],
    ["shell", 'echo "[1]" > "$MAIA_OUTPUT_PATH"'],
    ["shell", 'echo "{" > "$MAIA_OUTPUT_PATH"'],
    ["python", "def main(ctx):\n  return {'x': 12345678901234567890}"],
    ["shell", `printf '{"a":9007199254740993}' > "$MAIA_OUTPUT_PATH"`],
    ["shell", `printf '{"a":1e400}' > "$MAIA_OUTPUT_PATH"`],
    ["shell", `printf '{"a":1,"a":2}' > "$MAIA_OUTPUT_PATH"`],
    ["shell", `printf '{"a":"\\377"}' > "$MAIA_OUTPUT_PATH"`],
    ["shell", 'ln -s /etc/hosts "$MAIA_OUTPUT_PATH"'],
    ["shell", 'mkfifo "$MAIA_OUTPUT_PATH"'],
    ["shell", 'head -c 600000 /dev/zero > "$MAIA_OUTPUT_PATH"'],
  ] as const)(
    "whose output is no object, or cannot be kept as it is, in %s fails with OUTPUT_INVALID: %s",
    async (runtime, script) => {
      const { output, exit } = pick(await workshop.run(workshop.task(runtime, script)));
      expect(output).toBeNull();
      expect(exit).toMatchObject({ reason: "exited", error: { code: "OUTPUT_INVALID" } });
    },
  );

  it("that aborts is known by the signal's usual name", async () => {
    const run = await workshop.run(workshop.task("shell", "kill -ABRT $$"));
    expect(run.exit).toMatchObject({ exitCode: null, signal: "SIGABRT" });
  });

  it("that speaks of memory is not taken at its word: what is printed decides nothing", async () => {
    const words = "echo 'MemoryError: no' >&2; echo 'FATAL ERROR: JavaScript heap out of memory' >&2; exit 1";
    expect((await workshop.run(workshop.task("shell", words))).exit).toMatchObject({ exitCode: 1, reason: "exited" });
  });

  it.each([
    ["node", "export default () => { throw new RangeError('boom') }", "RangeError: boom"],
    ["node", "export default async () => { await null; throw new Error('later') }", "Error: later"],
    ["node", "throw new Error('at the top')", "Error: at the top"],
    ["node", "export default () => { throw { status: 404 } }", "{ status: 404 }"],
    ["node", "export const other = 1", "TypeError: a step is a module whose default export is a function"],
    ["python", "def main(ctx):\n  raise ValueError('boom')", "ValueError: boom"],
    ["python", "import nowhere", "ModuleNotFoundError: No module named 'nowhere'"],
  ] as const)("that throws in %s ends with code 1 and says why: %s", async (runtime, script, message) => {
    const run = await workshop.run(workshop.task(runtime, script));
    expect(run.exit).toMatchObject({ exitCode: 1, signal: null, reason: "exited", error: { message } });
    expect(run.lines("stderr").join("\n")).toContain(message.slice(message.indexOf(":") + 2));
  });

  it("that waits for what can never come is told so (code 13 is Node's)", async () => {
    const script = "export default () => new Promise(() => {})";
    for (const reuseKey of [null, `waits-${level}`]) {
      const { exit } = await workshop.run(workshop.task("node", script, { reuseKey }));
      const message = expect.stringContaining("waits for what can never come");
      expect(exit).toMatchObject({ exitCode: 13, reason: "exited", error: { message } });
    }
  });

  it("that throws prints where in its own code, and no line of what called it", async () => {
    const run = await workshop.run(workshop.task("node", "export default () => {\n  throw new Error('here');\n}"));
    const [first, second] = run.lines("stderr");
    expect([first, second]).toEqual(["Error: here", expect.stringMatching(/script\.mjs:2:9/)]);
  });

  it.each([
    ["setTimeout(() => { throw new Error('alone'); }, 1)", "an error was thrown that nothing waited for: Error: alone"],
    ["Promise.reject(new Error('left'))", "a promise was rejected that nothing waited for: Error: left"],
    ["Promise.reject('a text')", "a promise was rejected that nothing waited for: a text"],
  ])("that leaves an error to nobody says so, fresh or reused: %s", async (left, message) => {
    const script = `export default async () => { ${left}; await new Promise((done) => setTimeout(done, 10_000)); }`;
    for (const reuseKey of [null, `left-${level}`]) {
      const run = await workshop.run(workshop.task("node", script, { reuseKey }));
      expect(run.exit).toMatchObject({ exitCode: 1, reason: "exited", error: { message } });
    }
  });

  it.each([
    ["node", "process.exit(7)", { exitCode: 7, signal: null }],
    ["node", "export default () => process.kill(process.pid, 'SIGKILL')", { exitCode: null, signal: "SIGKILL" }],
    ["python", "import sys\ndef main(ctx):\n  sys.exit(7)", { exitCode: 7, signal: null }],
    ["shell", "exit 7", { exitCode: 7, signal: null }],
    ["shell", "kill -SEGV $$", { exitCode: null, signal: "SIGSEGV" }],
    ["shell", "kill -TERM $$", { exitCode: null, signal: "SIGTERM" }],
    ["shell", "exit 143", { exitCode: 143, signal: null }],
    ["shell", "sh -c 'kill -KILL $$'", { exitCode: 137, signal: null }],
    ["node", "process.exit(139)", { exitCode: 139, signal: null }],
    ["python", "import os\nos._exit(200)", { exitCode: 200, signal: null }],
    ["shell", "false; echo not reached", { exitCode: 1, signal: null }],
  ] as const)("ends in %s as its process does: %s", async (runtime, script, expected) => {
    const run = await workshop.run(workshop.task(runtime, script));
    expect(run.exit).toMatchObject({ ...expected, reason: "exited" });
    expect(run.output).toBeNull();
  });

  it.each([
    ["node", "process.exit(0)"],
    ["node", "export default async () => { await null; process.exit(); }"],
    ["python", "import sys\ndef main(ctx):\n  sys.exit(0)"],
    ["python", "import os\ndef main(ctx):\n  os._exit(0)"],
  ] as const)(
    "that ends itself in %s before its function has returned gives no result, and fails: %s",
    async (runtime, script) => {
      for (const reuseKey of [null, `early-${runtime}-${script.length}`]) {
        const { output, exit } = pick(await workshop.run(workshop.task(runtime, script, { reuseKey })));
        expect(output).toBeNull();
        expect(exit).toMatchObject({ exitCode: 0, reason: "exited", error: { code: "OUTPUT_INVALID" } });
        expect(exit.error!.message).toContain("before its function returned");
      }
    },
  );

  it("ends when its function returns, although something would keep the process (A20)", async () => {
    const node = "setInterval(() => {}, 1000); export default () => ({ ok: true })";
    const python =
      "import threading, time\nthreading.Thread(target=lambda: time.sleep(60)).start()\ndef main(ctx):\n  return {'ok': True}";
    const runs = [workshop.task("node", node), workshop.task("python", python)];
    for (const { output } of await Promise.all(runs.map((task) => workshop.run(task))))
      expect(output).toEqual({ ok: true });
  });

  it("may be written in TypeScript", async () => {
    const annotated = "export default (ctx: { params: { n: number } }): object => ({ n: ctx.params.n as number });";
    const generic = "const id = <T>(x: T) => x; export default () => ({ n: id<number>(5) });";
    const callOnly = "import { x } from './nothing.ts'; export default () => ({ n: Array.from<number>([5])[0] });";
    const runs = [annotated, generic, callOnly.slice(callOnly.indexOf(";") + 1)].map((script) =>
      workshop.run(workshop.task("node", script, { initialInput: { n: 5 } })),
    );
    for (const { output } of await Promise.all(runs)) expect(output).toEqual({ n: 5 });
  });

  it("honours the interpreter that a shell script names", async () => {
    const script =
      '#!/usr/bin/env python3\nimport os\nopen(os.environ["MAIA_OUTPUT_PATH"], "w").write(\'{"by": "python"}\')\n';
    expect((await workshop.run(workshop.task("shell", script))).output).toEqual({ by: "python" });
  });

  it("starts in its attempt's folder, with nothing to read on its standard input", async () => {
    const node =
      "import fs from 'node:fs'; export default () => ({ cwd: process.cwd(), text: fs.readFileSync(0, 'utf8') })";
    const python = "import os, sys\ndef main(ctx):\n  return {'cwd': os.getcwd(), 'text': sys.stdin.read()}";
    const shell = 'printf \'{"cwd":"%s","text":"%s"}\' "$(pwd)" "$(cat)" > "$MAIA_OUTPUT_PATH"';
    const tasks = (Object.entries({ node, python, shell }) as [Task["runtime"], string][]).map(([runtime, script]) =>
      workshop.task(runtime, script),
    );
    for (const { output } of await Promise.all(tasks.map((task) => workshop.run(task)))) {
      expect(output).toEqual({ cwd: expect.stringMatching(/\/work$/), text: "" });
    }
  });

  it("reads its files, finds its input, and may write to its own folder and /tmp alone", async () => {
    const script = `
      import fs from "node:fs";
      const tried = (act) => { try { act(); return "done"; } catch (error) { return error.code; } };
      export default ({ files, artifacts }) => ({
        text: fs.readFileSync(files[0].path, "utf8"),
        upstream: fs.readFileSync(artifacts.path("parse", "data.csv"), "utf8"),
        stepKey: JSON.parse(fs.readFileSync(process.env.MAIA_INPUT_PATH, "utf8")).stepKey,
        work: tried(() => fs.writeFileSync("note", "x")),
        tmp: tried(() => fs.mkdtempSync("/tmp/step-")),
        input: tried(() => fs.writeFileSync(files[0].path, "x")),
        run: tried(() => fs.writeFileSync(process.env.MAIA_RUN_DIR + "/new", "x")),
      });`;
    const task = workshop.task("node", script, {
      initialInput: { files: [{ path: "inputs/a.csv" }] },
      files: { "inputs/a.csv": "a,b\n", "artifacts/parse/data.csv": "1,2\n" },
    });
    const { output } = await workshop.run(task);
    expect(output).toMatchObject({ text: "a,b\n", upstream: "1,2\n", stepKey: "step", work: "done", tmp: "done" });
    const isProtected = level === "sandbox" || process.getuid?.() === 0;
    if (isProtected) expect([output!.input, output!.run]).toEqual(expect.not.arrayContaining(["done"]));
  });

  it("keeps artifacts that it writes, registers, or leaves in the folder for them (G19)", async () => {
    const node = `
      import fs from "node:fs";
      export default async ({ artifacts }) => {
        await artifacts.write("report.md", "# hello");
        await artifacts.write("deep/er/data.json", { a: 1 });
        await artifacts.write("bytes.bin", new Uint8Array([1, 2, 3]));
        fs.writeFileSync("made.txt", "made");
        await artifacts.register("made.txt", { name: "renamed.csv", mime: "text/x-special" });
        fs.writeFileSync(process.env.MAIA_ARTIFACTS_DIR + "/left.svg", "<svg/>");
      };`;
    const python = [
      "import os",
      "def main(ctx):",
      "  ctx.artifacts.write('report.md', '# hello')",
      "  ctx.artifacts.write('deep/er/data.json', {'a': 1})",
      "  ctx['artifacts'].write('bytes.bin', bytes([1, 2, 3]))",
      "  open('made.txt', 'w').write('made')",
      "  ctx.artifacts.register('made.txt', name='renamed.csv', mime='text/x-special')",
      "  open(os.environ['MAIA_ARTIFACTS_DIR'] + '/left.svg', 'w').write('<svg/>')",
    ].join("\n");
    for (const task of [workshop.task("node", node), workshop.task("python", python)]) {
      const run = await workshop.run(task);
      const found = run.artifacts.map(({ name, mime, sha256 }) => [
        name,
        mime,
        workshop.kept.get(sha256)?.toString("latin1"),
      ]);
      expect(found.sort()).toEqual([
        ["bytes.bin", "application/octet-stream", "\u0001\u0002\u0003"],
        ["deep/er/data.json", "application/json", expect.stringMatching(/^\{"a": ?1\}$/)],
        ["left.svg", "image/svg+xml", "<svg/>"],
        ["renamed.csv", "text/x-special", "made"],
        ["report.md", "text/markdown", "# hello"],
      ]);
    }
  });

  it("can open its output streams again by name, as shell scripts do", async () => {
    const run = await workshop.run(workshop.task("shell", "echo out > /dev/stdout; echo err > /dev/stderr"));
    expect([run.lines("stdout"), run.lines("stderr"), run.exit.exitCode]).toEqual([["out"], ["err"], 0]);
  });

  it("inherits no descriptors beyond the first three (B125)", async () => {
    const node = `
      import fs from "node:fs";
      const link = (fd) => { try { return fs.readlinkSync("/proc/self/fd/" + fd); } catch { return "closed"; } };
      export default () => ({ open: fs.readdirSync("/proc/self/fd").filter((fd) => fd > 2).map(link) });`;
    const shell = 'ls /proc/self/fd > fds; printf \'{"open":"%s"}\' "$(tr "\\n" " " < fds)" > "$MAIA_OUTPUT_PATH"';
    const python = "import os\ndef main(ctx):\n  return {'open': sorted(os.listdir('/proc/self/fd'), key=int)}";
    const [inNode, inShell, inPython] = await Promise.all([
      workshop.run(workshop.task("node", node)),
      workshop.run(workshop.task("shell", shell)),
      workshop.run(workshop.task("python", python)),
    ]);
    // Node opens what its event loop needs itself; ls and python open the folder that they list.
    const opened = (inNode.output!.open as string[]).filter((link) => link !== "closed");
    expect(opened.filter((link) => !/^(pipe:|anon_inode:|\/dev\/null$)/.test(link))).toEqual([]);
    expect(inShell.output!.open).toBe("0 1 2 3 ");
    expect(inPython.output!.open).toEqual(["0", "1", "2", "3"]);
  });
});

function pick(run: Awaited<ReturnType<Workshop["run"]>>) {
  return { output: run.output, exit: run.exit, lines: run.lines("stderr") };
}
