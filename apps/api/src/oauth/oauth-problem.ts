import { HttpProblem, type ProblemCode } from "../http/problems.js";

/** The errors of RFC 6749 that there are here, and the problem that each is. */
const codeOf = {
  invalid_request: "BAD_REQUEST",
  invalid_client: "UNAUTHENTICATED",
  invalid_scope: "BAD_REQUEST",
  unsupported_grant_type: "BAD_REQUEST",
  temporarily_unavailable: "RATE_LIMITED",
} as const satisfies Record<string, ProblemCode>;

/** A refused request for a token: what clients of OAuth expect (RFC 6749, 5.2), with the members of our problems beside it. */
export class OAuthProblem extends HttpProblem {
  constructor(error: keyof typeof codeOf, message: string, headers: Readonly<Record<string, string>> = {}) {
    const challenge = error === "invalid_client" ? { "WWW-Authenticate": 'Basic realm="maia"' } : {};
    const all = { "Content-Type": "application/json", ...challenge, ...headers };
    super(codeOf[error], message, all, { error, error_description: message });
  }
}
