import { spawn } from "node:child_process";

export interface BriefAnswer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const LONGEST_MS = 5_000;
const MOST_OUTPUT = 64 * 1024;

/** Runs a small program to its end, within a few seconds. Never throws: a program that cannot be run has code null. */
export function runBriefly(
  file: string,
  args: readonly string[],
  options: { uid?: number; gid?: number; cwd?: string; env?: Record<string, string> } = {},
): Promise<BriefAnswer> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    const child = spawn(file, args, {
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LONGEST_MS,
      killSignal: "SIGKILL",
    });
    child.stdout.on("data", (chunk: Buffer) => {
      if (stdout.length < MOST_OUTPUT) stdout += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderr.length < MOST_OUTPUT) stderr += chunk.toString("utf8");
    });
    child.on("error", (error) => resolve({ code: null, stdout, stderr: stderr || error.message }));
    child.on("close", (code) => resolve({ code, stdout, stderr: stderr.trim() }));
  });
}
