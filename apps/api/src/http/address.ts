import type { IncomingMessage } from "node:http";
import type { Request } from "express";

/** Where a request comes from. What X-Forwarded-For says counts only where MAIA_TRUST_PROXY trusts who says it. */
export function addressOf(req: IncomingMessage): string | null {
  return (req as Request).ip ?? null;
}
