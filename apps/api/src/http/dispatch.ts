import type { IncomingMessage } from "node:http";
import { Reader } from "@maia/domain";
import { type RequestHandler, type Response, Router } from "express";
import { anonymous, authenticate, authorize } from "../auth.js";
import type { ApiContext } from "../context.js";
import { permissions } from "../permissions.js";
import { hasBody, readJson } from "./body.js";
import { HttpProblem } from "./problems.js";
import { readQuery, refuseCredentials } from "./query.js";
import { requestIdOf } from "./request-id.js";
import type { Call, Method, Reply, Route } from "./route.js";
import { send } from "./send.js";
import { readBody } from "./shapes.js";

/** Makes the declared routes answer: one layer per path, so that a method without a route is known to be one. */
export function mount(context: ApiContext, routes: readonly Route[]): Router {
  for (const route of routes) requirePermission(route);
  const router = Router({ strict: true, caseSensitive: true });
  for (const [path, ofPath] of Map.groupBy(routes, (route) => route.path)) {
    router.all(path.replace(/\{(\w+)\}/g, ":$1"), answerWith(context, methodsOf(ofPath)));
  }
  return router;
}

/** A route that says not who may use it is a mistake that nobody must find out by using it. */
function requirePermission({ method, path, permission }: Route): void {
  if (Object.hasOwn(permissions, permission)) return;
  throw new Error(`${method.toUpperCase()} ${path} names no permission that there is: ${permission}`);
}

type Methods = ReadonlyMap<string, Route>;

function methodsOf(routes: readonly Route[]): Methods {
  const methods = new Map<string, Route>();
  for (const route of routes) {
    const method = route.method.toUpperCase();
    if (methods.has(method)) throw new Error(`${method} ${route.path} is declared twice`);
    methods.set(method, route);
  }
  const get = methods.get("GET");
  if (get && !methods.has("HEAD")) methods.set("HEAD", get);
  return methods;
}

/** The methods that the path answers to, for `Allow`. */
export function allowOf(methods: Iterable<string>): string {
  return [...methods].sort().join(", ");
}

function answerWith(context: ApiContext, methods: Methods): RequestHandler {
  const allow = allowOf(methods.keys());
  return async (req, res) => {
    const route = methods.get(req.method);
    if (!route) throw new HttpProblem("METHOD_NOT_ALLOWED", `${req.method} is not possible here`, { Allow: allow });
    res.locals.target = `${req.method} ${route.path}`;
    const asked = performance.now();
    const call = await prepare(context, route, req, res);
    const begun = performance.now();
    const reply = await route.handler(call);
    if (!reply) return;
    const took = [`read;dur=${ms(begun - asked)}`, `work;dur=${ms(performance.now() - begun)}`];
    res.setHeader("Server-Timing", took.join(", "));
    send(req, res, reply);
  };
}

function ms(duration: number): string {
  return duration.toFixed(1);
}

/** Who asks, whether they may, and what for; in this order, so that nobody learns anything before they have a name. */
async function prepare(
  context: ApiContext,
  route: Route,
  req: Parameters<RequestHandler>[0],
  res: Response,
): Promise<Call> {
  if (req.url.includes("?")) refuseCredentials(req.url);
  const open = permissions[route.permission] === "anyone";
  const caller = open ? anonymous : await authenticate(context, req);
  res.locals.actor = caller.id;
  authorize(caller, route.permission);
  const query = readQuery(req.url, route.query ?? {});
  const body = route.body ? readBody(route.body.shape, await readRequest(req, context, route.body)) : undefined;
  if (!route.body && !route.streamed && hasBody(req)) await refuseContent(req, context);
  return {
    context,
    req,
    res,
    caller,
    params: req.params,
    query,
    body,
    requestId: requestIdOf(res),
    now: context.clock(),
  };
}

export type { Method, Reply };

/** What a request says in JSON. */
async function readRequest(
  req: IncomingMessage,
  { config }: ApiContext,
  { isOptional }: NonNullable<Route["body"]>,
): Promise<unknown> {
  return isOptional && !hasBody(req) ? {} : readJson(req, config.body);
}

/** A command that takes nothing is not to be told something that it would pass over. */
async function refuseContent(req: IncomingMessage, { config }: ApiContext): Promise<void> {
  if (req.method !== "POST") {
    req.resume();
    return;
  }
  Reader.read(await readJson(req, config.body), (root) => root.object([]));
}
