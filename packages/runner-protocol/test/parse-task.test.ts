import { describe, expect, it } from "@jest/globals";
import { parseInline, parseTask, withInline } from "../src/index.js";
import { aTask } from "./a-task.js";

const parsed = (change: object) => () => parseTask({ ...aTask(), ...change });
const file = (path: string) => ({
  files: [
    { path: "ok.csv", sha256: "a".repeat(64), sizeBytes: 1 },
    { path, sha256: "b".repeat(64), sizeBytes: 1 },
  ],
});

describe("a task", () => {
  it("is taken with the fields that are known", () => {
    expect(parseTask({ ...aTask(), later: true })).toEqual(aTask());
  });

  it("may install dependencies", () => {
    const deps = {
      hash: "c".repeat(64),
      npm: { "csv-parse": "^6.0.0", "@scope/x": "1.x" },
      python: ["pandas>=2"],
      allowScripts: ["@scope/x"],
      lock: null,
    };
    const task = { ...aTask(), kind: "deps" as const, stepKey: "", attemptNo: 0, deps };
    expect(parseTask(task)).toEqual(task);
  });

  it.each([
    ["cwd", { cwd: "/etc" }],
    ["argv", { argv: ["sh", "-c", "id; rm -rf /"] }],
    ["mounts", { mounts: {} }],
    ["attemptId", { attemptId: "../../etc/passwd" }],
    ["attemptId", { attemptId: "" }],
    ["stepKey", { stepKey: "a/b" }],
    ["epoch", { epoch: -1 }],
    ["epoch", { epoch: 2 ** 53 }],
    ["attemptNo", { attemptNo: 0 }],
    ["kind", { kind: "shell" }],
    ["runtime", { runtime: "ruby" }],
    ["script.sha256", { script: { sha256: "../../../etc/passwd" } }],
    ["script", { script: null }],
    ["input.sha256", { input: { sha256: "A".repeat(64) } }],
    ["env.LD_PRELOAD", { env: { LD_PRELOAD: "/tmp/x.so" } }],
    ["env.NODE_OPTIONS", { env: { NODE_OPTIONS: "--require /tmp/x" } }],
    ["env.MAIA_RUN_ID", { env: { MAIA_RUN_ID: "run_2" } }],
    ["env.BASH_ENV", { env: { BASH_ENV: "/tmp/x" } }],
    ["env.PATH", { env: { PATH: "/tmp" } }],
    ["env.A=B", { env: { "A=B": "1" } }],
    ["env.A", { env: { A: "nul\0" } }],
    ["env.A", { env: { A: 1 } }],
    ["env.A", { env: { A: "x".repeat(200_000) } }],
    ["env.__proto__", JSON.parse('{"env":{"__proto__":"x"}}')],
    ["secrets.PYTHONSTARTUP", { secrets: { PYTHONSTARTUP: "/tmp/x.py" } }],
    ["files[1].path", file("../x")],
    ["files[1].path", file("/etc/passwd")],
    ["files[1].path", file("a//b")],
    ["files[1].path", file("a/./b")],
    ["files[1].path", file("a\\..\\b")],
    ["files[1].path", file("a\0b")],
    ["files[1].path", file("a\nb")],
    ["files[1].path", file("")],
    ["files[1].path", file("ok.csv")],
    ["files[1].path", file("é".repeat(128))],
    ["files[0].sizeBytes", { files: [{ path: "x", sha256: "a".repeat(64), sizeBytes: "1" }] }],
    ["files", { files: {} }],
    ["deps.hash", { deps: { hash: "../x", npm: {}, python: [], lock: null } }],
    ["deps.npm.--registry", { deps: { hash: "c".repeat(64), npm: { "--registry": "x" }, python: [], lock: null } }],
    ["deps.npm.x", { deps: { hash: "c".repeat(64), npm: { x: "-g" }, python: [], lock: null } }],
    [
      "deps.allowScripts[0]",
      { deps: { hash: "c".repeat(64), npm: {}, python: [], allowScripts: ["--all"], lock: null } },
    ],
    ["deps.python[0]", { deps: { hash: "c".repeat(64), npm: {}, python: ["--index-url=x"], lock: null } }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["limits.logLineMax", { limits: { ...aTask().limits, logLineMax: 0 } }],
    ["isolation", { isolation: "vm" }],
  ])("is refused for its %s (B098)", (field, change) => {
    expect(parsed(change)).toThrow(
      expect.objectContaining({
        name: "ProtocolError",
        code: "bad_task",
        field,
        message: expect.stringContaining(field),
      }),
    );
  });

  it("may have content in its body", () => {
    const inline = new Map([["a".repeat(64), Uint8Array.from({ length: 300 }, (_, index) => index % 256)]]);
    expect(parseInline(JSON.parse(JSON.stringify(withInline(aTask(), inline))))).toEqual(inline);
    expect(parseInline(aTask())).toEqual(new Map());
    for (const wrong of [
      [],
      { x: "" },
      { ["a".repeat(64)]: 1 },
      { ["a".repeat(64)]: "?" },
      { ["a".repeat(64)]: "A".repeat(90_000) },
    ]) {
      expect(() => parseInline({ inline: wrong })).toThrow(expect.objectContaining({ code: "bad_task" }));
    }
  });

  it.each([null, [], "x", 1])("is refused when it is %p", (value) => {
    expect(() => parseTask(value)).toThrow(expect.objectContaining({ code: "bad_task" }));
  });
});
