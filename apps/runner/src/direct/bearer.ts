import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Problem } from "./problems.js";

/** Lets a request in that carries the token. Digests are compared, so neither length nor content shows in the time it takes. */
export function bearerCheck(token: string): (req: IncomingMessage) => void {
  const wanted = digest(`Bearer ${token}`);
  return (req) => {
    const given = req.headersDistinct.authorization ?? [];
    const isRight = timingSafeEqual(digest(given[0] ?? ""), wanted);
    if (given.length === 1 && isRight) return;
    throw new Problem("UNAUTHENTICATED", "A runner needs the header Authorization: Bearer with its RUNNER_TOKEN", {
      headers: { "www-authenticate": 'Bearer realm="maia-runner"' },
    });
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
