import { describeApi } from "../http/openapi.js";
import { type Route, route } from "../http/route.js";
import { anyObject } from "../http/shapes.js";

/** The document of all routes, this one included; it is made once. */
export function openApiRoute(routes: () => readonly Route[]): Route {
  let text: string | null = null;
  return route({
    method: "get",
    path: "/v1/openapi.json",
    operationId: "getOpenApi",
    summary: "This document",
    tag: "System",
    permission: "openapi.read",
    answers: { 200: { description: "OpenAPI 3.1", shape: anyObject } },
    handler: () => {
      text ??= JSON.stringify(describeApi(routes(), "1"));
      return { status: 200, headers: { "Content-Type": "application/json" }, body: text };
    },
  });
}
