import type { Runner } from "../api-types.js";
import type { Context } from "../context.js";
import { plain } from "./format.js";
import { lookOf } from "./status.js";
import type { Cell } from "./table.js";

/** What each status means, for those who see it. */
const meanings: Readonly<Record<string, string>> = {
  PENDING: "it has never connected",
  RUNNING: "it is connected and takes tasks",
  UNKNOWN: "it is not heard of any more",
  STOPPING: "it finishes its tasks and takes no new ones",
  STOPPED: "it was stopped",
  PAUSING: "it finishes its tasks before it is paused",
  PAUSED: "new tasks are queued",
};

/** How it is, as a cell of a table. */
export function statusCell({ status, connected }: Runner): Cell {
  const { icon, style } = lookOf(status === "RUNNING" ? "CONNECTED" : status);
  return { text: `${icon} ${status}${status === "PAUSED" && !connected ? " (offline)" : ""}`, style };
}

/** `Running: it is connected …`, with when a pause ends by itself. */
export function statusLine({ status, connected, pausedUntil, instances }: Runner): string {
  const meaning = meanings[status] ?? "";
  const end = pausedUntil === null ? "" : `, until ${pausedUntil} at the latest`;
  const offline = status === "PAUSED" && !connected ? "; no instance is connected" : "";
  return `${status}: ${meaning}${end}${offline} (${instances} ${instances === 1 ? "instance" : "instances"})`;
}

/** Its platform, and how it is deployed there. */
export function whereOf({ platform, deployment }: Runner): string {
  return deployment === null ? platform : `${platform}/${deployment}`;
}

/** The version that it reports, and the one that it could have. */
export function versionOf({ version }: Runner): string {
  const { reported, latest, updateAvailable } = version;
  return updateAvailable ? `${reported} (update available: ${latest})` : (reported ?? "");
}

/** All about a runner, a line for each thing. */
export function printRunner({ terminal }: Context, runner: Runner): void {
  const { version, track, autoUpdate, restricted } = runner;
  const line = (name: string, text: string) => terminal.print(`  ${name.padEnd(10)} ${plain(text)}`);
  terminal.print(`${terminal.paint("bold", plain(runner.name))}  ${runner.id}`);
  if (runner.description) line("about", runner.description);
  line("status", statusLine(runner));
  line("platform", `${whereOf(runner)}, type ${runner.type}`);
  line("work", `${runner.inFlight} in flight, ${runner.queued} queued`);
  line("track", `${track}${autoUpdate ? ", updates itself" : ""}`);
  const support = version.support === null ? "" : `, ${version.support}`;
  line("version", version.reported === null ? "not reported yet" : `${versionOf(runner)}${support}`);
  line("allowed", restricted ? "only what its allow list names" : "every project");
}

export interface Credentials {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** As its instances take them from their environment. */
export function printCredentials({ terminal }: Context, { clientId, clientSecret }: Credentials): void {
  terminal.print(`MAIA_CLIENT_ID=${clientId}`);
  terminal.print(`MAIA_CLIENT_SECRET=${clientSecret}`);
}
