import type { IncomingMessage } from "node:http";
import type { Response } from "express";
import type { Caller } from "../auth.js";
import type { ApiContext } from "../context.js";
import type { Permission } from "../permissions.js";
import type { Fields, JsonSchema, ObjectOf, Shape } from "./shapes.js";

export type Method = "get" | "head" | "put" | "post" | "patch" | "delete";

/** The names between braces: `/v1/runs/{id}` gives `id`. */
type PathParams<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [K in Name]: string } & PathParams<Rest>
  : unknown;

/** One request on its way through a handler. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  readonly context: ApiContext;
  readonly req: IncomingMessage;
  readonly res: Response;
  readonly caller: Caller;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly requestId: string;
  readonly now: Date;
}

/** What a handler answers. A handler that has written to `res` itself answers nothing. */
export interface Reply {
  readonly status: number;
  /** JSON, unless the headers name another Content-Type; then text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A kind of answer, for the document. */
export interface Answer {
  readonly description: string;
  readonly shape?: Shape<unknown>;
  /** Media type and schema of what is no JSON. */
  readonly content?: { readonly [mediaType: string]: JsonSchema };
  readonly headers?: { readonly [name: string]: string };
  readonly example?: unknown;
}

/** A body that the handler reads itself, and how the document describes it. */
export interface StreamedBody {
  readonly content: { readonly [mediaType: string]: { readonly schema: JsonSchema; readonly example?: unknown } };
}

interface Definition<P extends string, Q extends Fields, B> {
  readonly method: Method;
  readonly path: P;
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  readonly permission: Permission;
  readonly query?: Q;
  /** Headers that matter, with what they do. */
  readonly requestHeaders?: { readonly [name: string]: string };
  /** A JSON body that is read and checked before the handler runs. */
  readonly body?: {
    readonly shape: Shape<B>;
    readonly example: B /** Nothing sent is `{}`. */;
    readonly isOptional?: true;
  };
  /** A body that the handler reads itself. */
  readonly streamed?: StreamedBody;
  readonly answers: { readonly [status: number]: Answer };
  /** HEAD is answered by GET's handler unless it has a route of its own. */
  readonly handler: (call: Call<PathParams<P>, ObjectOf<Q>, B>) => Promise<Reply | undefined> | Reply | undefined;
}

/** A declared route. The middleware, the 405s and the OpenAPI document all follow from it. */
export interface Route extends Omit<Definition<string, Fields, unknown>, "handler"> {
  readonly handler: (call: Call) => Promise<Reply | undefined> | Reply | undefined;
}

/** Declares a route. What no route declares does not exist. */
export function route<const P extends string, const Q extends Fields, B>(definition: Definition<P, Q, B>): Route {
  return definition as unknown as Route;
}

/** 200 with a JSON body. */
export function ok(body: unknown, headers?: Record<string, string>): Reply {
  return headers ? { status: 200, body, headers } : { status: 200, body };
}

/** 201 with where the new thing is. */
export function created(location: string, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status: 201, body, headers: { Location: location, ...headers } };
}
