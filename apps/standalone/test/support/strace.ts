import { spawnSync } from "node:child_process";

/**
 * The command that runs a process under strace, with these arguments, as our own child: its main thread is traced, where
 * the database and the sockets are. @throws where strace is missing or may not trace, with what to do.
 */
export function strace(...args: string[]): string[] {
  const { status, stderr, error } = spawnSync("strace", ["-e", "trace=none", "true"], { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(
      `These tests need strace, and that it may trace: add the package strace (in a container also --cap-add SYS_PTRACE). ${error?.message ?? stderr}`,
    );
  }
  return ["strace", "-D", "-q", ...args];
}
