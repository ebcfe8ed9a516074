import type { Answer, TestApi } from "../support.js";

/** What an answer has, however it was asked for. */
export type Seen = Pick<Answer, "status" | "text">;

/** What every row finds on the server. */
export interface Scene {
  readonly api: TestApi;
  /** The slug of a workflow that is published. */
  readonly workflow: string;
  /** A key that may use another project only. */
  readonly stranger: string;
  /** The name of that project. */
  readonly elsewhere: string;
}

/** A row of the matrix of bad inputs in the guarantees. */
export interface Row {
  readonly id: string;
  readonly what: string;
  /** Any of these is right. */
  readonly status: readonly number[];
  readonly send: (scene: Scene) => Promise<Seen | readonly Seen[]>;
  /** What stands here until the row's feature is built, in words. */
  readonly instead?: string;
}

/** Bytes as they are; the answer's first line and body. */
export async function raw({ api }: Scene, head: string, body: string | Buffer = ""): Promise<Seen> {
  const text = await api.raw(
    Buffer.concat([Buffer.from(head.replaceAll("\n", "\r\n"), "latin1"), Buffer.from(body)]),
    COMPLETE,
  );
  return seen(text);
}

/** An answer whose body has arrived. */
const COMPLETE = /\r\n\r\n.*\}$/s;

/** What a raw answer says. No answer at all is status 0. */
export function seen(text: string): Seen {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
  return { status, text: text.slice(text.indexOf("\r\n\r\n") + 4) };
}

/** The first lines of a request with the administrator's key. */
export function head({ api }: Scene, method: string, path: string, more = ""): string {
  return `${method} ${path} HTTP/1.1\nHost: localhost\nAuthorization: Bearer ${api.adminKey}\n${more}\n`;
}

/** A job's JSON as text, however odd. */
export function postText(
  { api }: Scene,
  path: string,
  text: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  return api.request("POST", path, { body: text, headers: { "Content-Type": "application/json", ...headers } });
}

/** One answer per case, one after the other. */
export async function each<T>(cases: readonly T[], send: (value: T) => Promise<Seen>): Promise<Seen[]> {
  const answers: Seen[] = [];
  for (const value of cases) answers.push(await send(value));
  return answers;
}
