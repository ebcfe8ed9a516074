import { gatewayRoutes } from "../gateway/routes.js";
import type { Route } from "../http/route.js";
import { artifactRoutes } from "./artifacts.js";
import { auditRoutes } from "./audit.js";
import { batchRoutes } from "./batches.js";
import { blobRoutes } from "./blobs.js";
import { environmentRoutes } from "./environments.js";
import { eventRoutes } from "./events.js";
import { jobRoutes } from "./jobs.js";
import { keyRoutes } from "./keys.js";
import { logRoutes } from "./logs.js";
import { oauthRoutes } from "./oauth.js";
import { openApiRoute } from "./openapi.js";
import { projectRoutes } from "./projects.js";
import { rerunRoutes } from "./rerun.js";
import { runnerAllowListRoutes } from "./runner-allowlist.js";
import { runnerCommandRoutes } from "./runner-commands.js";
import { runnerPageRoutes } from "./runner-pages.js";
import { runnerReleaseRoutes } from "./runner-releases.js";
import { runnerRoutes } from "./runners.js";
import { runRoutes } from "./runs.js";
import { scheduleRoutes } from "./schedules.js";
import { secretRoutes } from "./secrets.js";
import { systemRoutes } from "./system.js";
import { versionChangeRoutes } from "./version-changes.js";
import { versionRoutes } from "./versions.js";
import { workflowRoutes } from "./workflows.js";

/** Every route that there is. Those that are asked for most come first, since paths are tried in this order. */
export const routes: readonly Route[] = [
  ...gatewayRoutes,
  ...jobRoutes,
  ...runRoutes,
  ...rerunRoutes,
  ...eventRoutes,
  ...logRoutes,
  ...artifactRoutes,
  ...batchRoutes,
  ...blobRoutes,
  ...workflowRoutes,
  ...versionRoutes,
  ...scheduleRoutes,
  ...runnerRoutes,
  ...runnerCommandRoutes,
  ...runnerAllowListRoutes,
  ...runnerPageRoutes,
  ...runnerReleaseRoutes,
  ...versionChangeRoutes,
  ...projectRoutes,
  ...environmentRoutes,
  ...secretRoutes,
  ...keyRoutes,
  ...auditRoutes,
  ...oauthRoutes,
  ...systemRoutes,
  openApiRoute(() => routes),
];
