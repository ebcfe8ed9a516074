import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "@jest/globals";

const script = fileURLToPath(new URL("service-process.mjs", import.meta.url));
const started: ReturnType<typeof spawn>[] = [];

function serve(mode: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [script, mode], { env: { ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  started.push(child);
  let errors = "";
  child.stderr!.on("data", (chunk) => {
    errors += chunk;
  });
  const ready = once(child.stdout!, "data").then(String);
  const ended = once(child, "close").then(([code]) => ({ code, errors, lines: errors.trim().split("\n") }));
  return { child, ready, ended };
}

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

describe("being a process", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("stops gracefully on %s and exits 0", async (signal) => {
    const { child, ready, ended } = serve("up");
    await ready;
    child.kill(signal);
    const { code, errors } = await ended;
    expect(code).toBe(0);
    expect(errors).toContain('"message":"let go"');
  });

  it("ends at once at the second signal", async () => {
    const { child, ready, ended } = serve("slow-stop");
    await ready;
    child.kill("SIGTERM");
    await once(child.stdout!, "data"); // the stop has begun
    child.kill("SIGTERM");
    expect((await ended).code).toBe(1);
  });

  it("does not wait for ever for a stop that hangs", async () => {
    const { child, ready, ended } = serve("hanging-stop");
    await ready;
    child.kill("SIGTERM");
    const { code, errors } = await ended;
    expect(code).toBe(1);
    expect(errors).toContain("stopping took too long");
  });

  it("waits for a stop as long as the service says that it may take", async () => {
    const { child, ready, ended } = serve("patient-stop");
    await ready;
    child.kill("SIGTERM");
    expect((await ended).code).toBe(0);
  });

  it("says in one line why it did not start", async () => {
    expect(await serve("fails").ended).toMatchObject({ code: 1, lines: ["maia api: the database is somewhere else"] });
    expect(await serve("misconfigured").ended).toMatchObject({ code: 2, lines: ["maia api: MAIA_X is wrong, set it"] });
    const { code, lines } = await serve("port-taken").ended;
    expect({ code, lines }).toEqual({
      code: 1,
      lines: [expect.stringMatching(/127\.0\.0\.1:\d+ is taken by another process/)],
    });
  });

  it("takes its exit code from a service that ends on its own", async () => {
    expect((await serve("restarts").ended).code).toBe(75);
  });

  it("logs a bug and exits 1", async () => {
    const { code, errors } = await serve("bug").ended;
    expect(code).toBe(1);
    expect(JSON.parse(errors)).toMatchObject({
      level: "error",
      message: "unexpected failure",
      error: { message: "boom" },
    });
  });

  it("outlives whoever read its output", async () => {
    const { child, ready, ended } = serve("chatty");
    await ready;
    child.stdout?.destroy();
    child.stderr?.destroy();
    await once(child, "message"); // it has logged into the void since
    child.kill("SIGTERM");
    expect((await ended).code).toBe(0);
  });
});

describe("the log", () => {
  it("writes one JSON object per line to stderr, with secrets masked and errors readable", async () => {
    const { code, lines } = await serve("logs").ended;
    const [first, second, third] = lines.map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(first).toMatchObject({
      level: "info",
      message: "two\nlines",
      name: "api",
      jobId: "job_1",
      clientSecret: "***",
    });
    expect(Date.parse(first.at)).not.toBeNaN();
    expect(second).toMatchObject({
      level: "warn",
      error: { name: "TypeError", message: "bad" },
      deep: { token: "***" },
    });
    expect(third).toMatchObject({ loop: { self: "[circular]" }, twice: [{ n: 1 }, { n: 1 }], big: "9007199254740993" });
    expect(lines).toHaveLength(3); // debug is off
  });

  it("writes pretty lines that no value can break or colour", async () => {
    const { lines } = await serve("logs", { MAIA_LOG_FORMAT: "pretty", NO_COLOR: "1" }).ended;
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} info {2}api {2}two\\nlines {2}jobId=job_1 clientSecret="\*\*\*" esc="\\u001b\[31m"$/,
    );
  });

  it("refuses a level that does not exist", async () => {
    const { code, lines } = await serve("logs", { MAIA_LOG_LEVEL: "loud" }).ended;
    expect(code).not.toBe(0);
    expect(lines.join("\n")).toContain('MAIA_LOG_LEVEL is "loud", but must be one of error, warn, info, debug');
  });
});
