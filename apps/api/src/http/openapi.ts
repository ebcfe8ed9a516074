import { permissions } from "../permissions.js";
import { problemCodes } from "./problems.js";
import type { Answer, Route } from "./route.js";
import { type Fields, type JsonSchema, namedSchemas, refer, type Shape } from "./shapes.js";

/** The OpenAPI 3.1 document of the declared routes. */
export function describeApi(routes: readonly Route[], version: string): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Maia",
      version,
      description: "Workflows, runs and runners.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }, { token: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", description: "An API key" },
        token: { type: "oauth2", flows: { clientCredentials: { tokenUrl: "/oauth/token", scopes: {} } } },
      },
      schemas: { ...forReaders(namedSchemas()), Problem: problemSchema },
      responses: {
        Problem: { description: "What went wrong", content: { "application/problem+json": { schema: problemRef } } },
      },
    },
  };
}

const problemRef = { $ref: "#/components/schemas/Problem" };

const problemSchema = {
  type: "object",
  description: "RFC 9457",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: problemCodes },
    detail: { type: "string" },
    requestId: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        properties: {
          pointer: { type: "string" },
          message: { type: "string" },
          row: { type: "integer", description: "Of a table: the row as a spreadsheet counts it" },
        },
        required: ["pointer", "message"],
      },
    },
  },
  required: ["type", "title", "status", "code", "detail", "requestId"],
};

function operation(route: Route): JsonSchema {
  const parameters = [...pathParameters(route), ...queryParameters(route.query ?? {}), ...headerParameters(route)];
  const body = requestBody(route);
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    "x-permission": route.permission,
    ...(permissions[route.permission] === "anyone" ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, response(answer)])),
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

function pathParameters({ path }: Route): JsonSchema[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  return names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
}

function queryParameters(query: Fields): JsonSchema[] {
  return Object.entries(query).map(([name, shape]) => ({
    name,
    in: "query",
    ...("optional" in shape ? {} : { required: true }),
    schema: refer(shape),
  }));
}

function headerParameters({ requestHeaders = {} }: Route): JsonSchema[] {
  const entries = Object.entries(requestHeaders);
  return entries.map(([name, description]) => ({ name, in: "header", description, schema: { type: "string" } }));
}

function requestBody({ body, streamed }: Route): JsonSchema | null {
  if (streamed) return { required: true, content: streamed.content };
  if (!body) return null;
  const content = { "application/json": { schema: refer(body.shape), example: body.example } };
  return { required: !body.isOptional, content };
}

function response({ description, shape, content = {}, headers = {}, example }: Answer): JsonSchema {
  const described = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: "string" } },
  ]);
  const kinds = {
    ...(shape ? { "application/json": withExample(shape, example) } : {}),
    ...Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }])),
  };
  return {
    description,
    ...(described.length > 0 ? { headers: Object.fromEntries(described) } : {}),
    ...(Object.keys(kinds).length > 0 ? { content: kinds } : {}),
  };
}

function withExample(shape: Shape<unknown>, example: unknown): JsonSchema {
  const schema = refer(shape);
  return example === undefined ? { schema } : { schema, example };
}

/** Answers may gain fields; only requests are closed. Named schemas are answers' unless their name ends in Request. */
function forReaders(schemas: Record<string, JsonSchema>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, name.endsWith("Request") ? schema : opened(schema)]),
  );
}

function opened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(opened);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key, member]) => key !== "additionalProperties" || member !== false);
  return Object.fromEntries(entries.map(([key, member]) => [key, key === "examples" ? member : opened(member)]));
}
