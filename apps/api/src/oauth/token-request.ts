import type { IncomingMessage } from "node:http";
import { type BodyLimits, mediaType, readText, refuseEncoding } from "../http/body.js";
import { OAuthProblem } from "./oauth-problem.js";

/** Who asks for a token, and how. */
export interface TokenRequest {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly audience: string | null;
}

const FORM = "application/x-www-form-urlencoded";
const FORM_MAX = 16 * 1_024;
/** Longer than any id or secret that we make. */
const CREDENTIAL_MAX = 512;

/** Reads a request for a token (RFC 6749, 4.4). @throws {OAuthProblem}; {MaiaError} TOO_LARGE, BAD_JSON */
export async function readTokenRequest(req: IncomingMessage, limits: BodyLimits): Promise<TokenRequest> {
  const fields = await readForm(req, limits);
  const grant = fields.get("grant_type");
  if (grant === undefined) throw new OAuthProblem("invalid_request", "grant_type is missing; it is client_credentials");
  if (grant !== "client_credentials")
    throw new OAuthProblem("unsupported_grant_type", "The one grant_type here is client_credentials");
  if (fields.get("scope"))
    throw new OAuthProblem("invalid_scope", "There are no scopes: a token may what its client may; leave scope out");
  const [clientId, clientSecret] = credentialsOf(req, fields);
  if (clientId.length > CREDENTIAL_MAX || clientSecret.length > CREDENTIAL_MAX)
    throw new OAuthProblem("invalid_request", `client_id and client_secret have at most ${CREDENTIAL_MAX} characters`);
  return { clientId, clientSecret, audience: fields.get("audience") ?? null };
}

async function readForm(req: IncomingMessage, { timeoutMs }: BodyLimits): Promise<ReadonlyMap<string, string>> {
  if (mediaType(req).type !== FORM) throw new OAuthProblem("invalid_request", `The body must be ${FORM}`);
  refuseEncoding(req);
  const given = new URLSearchParams(await readText(req, { maxBytes: FORM_MAX, timeoutMs }));
  const fields = new Map<string, string>();
  for (const [name, value] of given) {
    if (fields.has(name)) throw new OAuthProblem("invalid_request", "A parameter is given more than once");
    fields.set(name, value);
  }
  return fields;
}

/** By Basic or in the body, not both: two parties could read two different clients. */
function credentialsOf({ headers }: IncomingMessage, fields: ReadonlyMap<string, string>): readonly [string, string] {
  const [id, secret] = [fields.get("client_id"), fields.get("client_secret")];
  if (headers.authorization === undefined) return [id ?? "", secret ?? ""];
  if (id !== undefined || secret !== undefined)
    throw new OAuthProblem("invalid_request", "The client's id and secret come by Basic or in the body, not both");
  return basicOf(headers.authorization) ?? ["", ""];
}

/** RFC 6749, 2.3.1: both parts are encoded like a form's values. */
function basicOf(header: string): readonly [string, string] | null {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(header) ?? [];
  const text = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString("utf8");
  const at = text.indexOf(":");
  if (at < 0) return null;
  const decode = (part: string) => new URLSearchParams(`v=${part.replaceAll("&", "%26")}`).get("v")!;
  return [decode(text.slice(0, at)), decode(text.slice(at + 1))];
}
