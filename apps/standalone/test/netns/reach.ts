import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";

/** How long a try to connect may take. In milliseconds. */
const TRY_MS = 500;
/** So many tries at once. */
const AT_ONCE = 1_000;

/** How a try to connect has ended: `connected`, `silent`, or the code of the error. */
export async function tryPort(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  const late = setTimeout(() => socket.destroy(Object.assign(new Error("late"), { code: "silent" })), TRY_MS);
  try {
    await once(socket, "connect");
    return "connected";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "failed";
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}

/** Tries every port up to one, and counts how that ended. */
export async function tryPorts(host: string, last: number): Promise<Record<string, number>> {
  const ends: Record<string, number> = {};
  for (let from = 1; from <= last; from += AT_ONCE) {
    const ports = Array.from({ length: Math.min(AT_ONCE, last - from + 1) }, (_, i) => from + i);
    for (const end of await Promise.all(ports.map((port) => tryPort(host, port)))) ends[end] = (ends[end] ?? 0) + 1;
  }
  return ends;
}

/** How a try to connect ends that is made within another network. */
export async function tryFrom(within: readonly string[], host: string, port: number): Promise<string> {
  const [program = "", ...rest] = within;
  const script = `import { tryPort } from ${JSON.stringify(import.meta.url)}; console.log(await tryPort("${host}", ${port}));`;
  const args = [...rest, process.execPath, "--input-type=module", "--eval", script];
  return (await promisify(execFile)(program, args)).stdout.trim();
}
