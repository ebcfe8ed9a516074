import { ok, type Route, route } from "../http/route.js";
import { choice, integer, named, object, text } from "../http/shapes.js";
import { exchange } from "../oauth/exchange.js";
import { readTokenRequest } from "../oauth/token-request.js";

const accessToken = named(
  "AccessToken",
  object({
    access_token: text({ description: "For Authorization: Bearer" }),
    token_type: choice(["Bearer"]),
    expires_in: integer(1, Number.MAX_SAFE_INTEGER, { description: "Seconds" }),
  }),
  { access_token: "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJrZXlfMDFrYyJ9.c2lnbmF0dXJl", token_type: "Bearer", expires_in: 900 },
);

const form = {
  type: "object",
  required: ["grant_type"],
  properties: {
    grant_type: { type: "string", enum: ["client_credentials"] },
    client_id: { type: "string", description: "The id of an API key or of a runner; or by Basic, with the secret" },
    client_secret: { type: "string", description: "Of an API key the part behind its second underscore" },
    audience: { type: "string", enum: ["maia"] },
  },
};

export const oauthRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/oauth/token",
    operationId: "createToken",
    summary: "A token for a while in exchange for a client's id and secret (OAuth 2, client credentials)",
    tag: "System",
    permission: "token.request",
    requestHeaders: { Authorization: "`Basic`, with the client's id and secret, unless they are in the body" },
    streamed: {
      content: {
        "application/x-www-form-urlencoded": {
          schema: form,
          example: {
            grant_type: "client_credentials",
            client_id: "key_01kc1x0000000000000000000a",
            client_secret: "W6ph5Mm5Pz8GgiULbPgzG37mj9g_0pT0hGd6m7aL2mE",
          },
        },
      },
    },
    answers: { 200: { description: "The token", shape: accessToken } },
    handler: async (call) => {
      const request = await readTokenRequest(call.req, call.context.config.body);
      const { token, expiresIn } = await exchange(call, request);
      return ok({ access_token: token, token_type: "Bearer", expires_in: expiresIn }, { Pragma: "no-cache" });
    },
  }),
];
