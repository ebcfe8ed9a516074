import type { Route } from "../../src/http/route.js";
import type { TestApi } from "../support.js";
import type { Asked } from "./how-to-ask.js";

export interface Seen {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

const REQUEST_ID = "asked-by-a-test";

/** Sends a request with these credentials. Of a stream that goes on only its beginning is read. */
export async function ask(
  api: TestApi,
  { method }: Route,
  asked: Asked,
  key: string | null,
  endless = false,
): Promise<Seen> {
  const { path, json, form, text, headers: more = {} } = asked;
  const type = json !== undefined ? "application/json" : form ? "application/x-www-form-urlencoded" : null;
  const body = json !== undefined ? JSON.stringify(json) : form ? new URLSearchParams(form).toString() : text;
  const stop = new AbortController();
  const res = await fetch(api.url + path, {
    method: method.toUpperCase(),
    headers: {
      "X-Request-Id": REQUEST_ID,
      ...more,
      ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
      ...(type === null ? {} : { "Content-Type": type }),
    },
    body: body ?? null,
    signal: stop.signal,
  });
  const { status, headers } = res;
  if (!endless || status !== 200) return { status, headers, text: await res.text() };
  stop.abort();
  return { status, headers, text: "" };
}

/** The same request for things that do not exist: every id, hash and name of the project is exchanged for one that is free. */
export function forNothing<T>(value: T): T {
  return value === undefined ? value : JSON.parse(nothingIn(JSON.stringify(value)));
}

export function nothingIn(text: string): string {
  return text
    .replace(
      /\b(wf|job|run|att|art|file|sch|bat|prj|env|key|rnr)_[0-9a-z]{20,}/g,
      (_, prefix) => `${prefix}_${"0".repeat(26)}`,
    )
    .replace(/\b[0-9a-f]{64}\b/g, "0".repeat(64))
    .replace(/\bmine(-\d+)?\b/g, "none");
}
