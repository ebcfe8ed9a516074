import express, { type ErrorRequestHandler, type Express } from "express";
import helmet from "helmet";
import { anonymous } from "./auth.js";
import type { ApiContext } from "./context.js";
import { addressOf } from "./http/address.js";
import { mount } from "./http/dispatch.js";
import { guard, type HostNames, hostName, isLoopback } from "./http/guard.js";
import { refuseOtherSites } from "./http/origin.js";
import { HttpProblem, isOurFault, statusOfProblem } from "./http/problems.js";
import { requestIdOf } from "./http/request-id.js";
import { sendProblem } from "./http/send.js";
import { routes } from "./routes/index.js";

/** Puts the API together: what guards every request, the declared routes, and what answers when nothing else did. */
export function createApp(context: ApiContext): Express {
  const { config } = context;
  const app = express();
  app.set("env", "production");
  app.set("x-powered-by", false);
  app.set("query parser", "simple");
  app.set("strict routing", true);
  app.set("case sensitive routing", true);
  app.set("etag", false);
  app.set("trust proxy", config.trustProxy ?? false);

  app.use(securityHeaders(config.tls !== null || config.publicUrl?.protocol === "https:"));
  app.use(guard(hostsOf(context)));
  app.use(context.metrics.countRequests);
  app.use(refuseOtherSites(config.publicUrl));
  app.use(mount(context, routes));
  app.use(() => {
    throw new HttpProblem("NOT_FOUND", "There is nothing here");
  });
  app.use(lastResort(context));
  return app;
}

/** On loopback we answer to the machine's own names and to the public one; elsewhere the network decides who comes. */
function hostsOf({ config }: ApiContext): HostNames {
  if (!isLoopback(config.host)) return null;
  const names = ["localhost", "127.0.0.1", "[::1]", hostName(config.host), config.publicUrl?.hostname];
  return new Set(names.filter((name): name is string => !!name));
}

/** An API's answers are data: nothing in them is to be run, framed, sniffed or kept. */
function securityHeaders(isEncrypted: boolean) {
  const headers = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: "same-origin" },
    xFrameOptions: { action: "deny" },
    strictTransportSecurity: isEncrypted ? { maxAge: 31_536_000 } : false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    crossOriginOpenerPolicy: false,
    xXssProtection: false,
  });
  const middleware: express.RequestHandler = (req, res, next) => {
    res.setHeader("Cache-Control", "no-store");
    headers(req, res, next);
  };
  return middleware;
}

/** Every failure ends here: said plainly where it is the caller's, logged and kept to ourselves where it is ours. */
function lastResort({ logger, refusals }: ApiContext): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const problem = fromExpress(error);
    if (isOurFault(problem)) {
      logger.error("a request failed", { requestId: requestIdOf(res), method: req.method, path: req.path, error });
    }
    const status = statusOfProblem(problem);
    if (REFUSALS.has(status)) {
      const { actor = anonymous.id, target = req.method } = res.locals as { actor?: string; target?: string };
      refusals.note({ actor, target, status, ip: addressOf(req), requestId: requestIdOf(res) });
    }
    sendProblem(req, res, problem);
  };
}

/** The statuses that say no to who asks, and not to what. */
const REFUSALS = new Set([401, 403, 429]);

/** The router refuses percent-encoding that is no text in a parameter. */
function fromExpress(error: unknown): unknown {
  return error instanceof URIError ? new HttpProblem("BAD_REQUEST", "The address cannot be decoded") : error;
}
