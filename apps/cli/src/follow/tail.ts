import { setTimeout as delay } from "node:timers/promises";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { ApiClient } from "../api-client.js";
import { CliError } from "../errors.js";
import { exitCodes } from "../exit-codes.js";
import { isEnded } from "../output/status.js";
import type { RunEvent } from "./run-view.js";

export interface TailOptions {
  readonly signal: AbortSignal;
  /** Hears that the connection was lost, and that it is back. */
  readonly told?: (text: string) => void;
  /** How long a server may stay away before its follower gives up. In milliseconds. */
  readonly giveUpAfterMs?: number;
}

const GIVE_UP_AFTER_MS = 120_000;
const BACK_OFF_MAX_MS = 5_000;

/**
 * Every event of a run, from its first to its last, each once and in order. The id of the last event is all that it takes to go on
 * after a lost connection.
 * @throws {CliError} when the server refuses, or stays away for too long.
 */
export async function* tailRun(api: ApiClient, runId: string, options: TailOptions): AsyncGenerator<RunEvent[]> {
  const { signal, told = () => {}, giveUpAfterMs = GIVE_UP_AFTER_MS } = options;
  let cursor: string | null = null;
  let lostAt: number | null = null;
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const events of connect(api, runId, cursor, signal)) {
        if (lostAt !== null) told(`Reconnected, nothing is lost (event ${events[0]?.id})`);
        [lostAt, failures] = [null, 0];
        cursor = events.at(-1)?.id ?? cursor;
        yield events;
        if (events.some(isLast)) return;
      }
      if (await hasEnded(api, runId)) return; // the stream ended, and there is nothing after the cursor
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CliError && error.exitCode !== exitCodes.unreachable) throw error;
      const now = performance.now();
      if (lostAt === null) told("The connection was lost, reconnecting …");
      lostAt ??= now;
      if (now - lostAt > giveUpAfterMs) throw error;
    }
    await delay(backOff(failures), undefined, { signal }).catch(() => {});
  }
}

/** The events of one connection, in batches as they arrive. */
async function* connect(
  api: ApiClient,
  runId: string,
  cursor: string | null,
  signal: AbortSignal,
): AsyncGenerator<RunEvent[]> {
  const headers = { accept: "text/event-stream", ...(cursor === null ? {} : { "last-event-id": cursor }) };
  const stream = await api.open(`v1/runs/${encodeURIComponent(runId)}/events?until=end`, headers, signal);
  if (!stream) return;
  let arrived: RunEvent[] = [];
  const parser = createParser({ onEvent: (message) => arrived.push(readEvent(message)) });
  const decoder = new TextDecoder();
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (arrived.length > 0) yield arrived;
    arrived = [];
  }
}

function readEvent({ id = "", event = "", data }: EventSourceMessage): RunEvent {
  return { id, kind: event, data: JSON.parse(data) } as RunEvent;
}

function isLast(event: RunEvent): boolean {
  return event.kind === "run_status" && isEnded(event.data.status);
}

async function hasEnded(api: ApiClient, runId: string): Promise<boolean> {
  const { status } = await api.get<{ status: string }>(`v1/runs/${encodeURIComponent(runId)}`);
  return isEnded(status);
}

/** Doubles from 100 ms, with jitter, so that many followers do not come back at once. */
function backOff(failures: number): number {
  return Math.min(BACK_OFF_MAX_MS, 100 * 2 ** failures) * (0.5 + Math.random() / 2);
}
