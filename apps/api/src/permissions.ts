/** From the least to the most powerful: each role may do what those before it may. */
export const roles = ["viewer", "operator", "editor", "admin"] as const;

export type Role = (typeof roles)[number];

/**
 * Who may do what: the least role that has each permission; a runner, by its token; or anyone, without credentials. Every
 * route names one of these, and there is nothing else that a route could allow.
 */
export const permissions = {
  "health.read": "anyone",
  "token.request": "anyone",
  "gateway.use": "runner",
  "metrics.read": "viewer",
  "openapi.read": "viewer",
  "me.read": "viewer",
  "projects.read": "viewer",
  "projects.write": "admin",
  "environments.read": "viewer",
  "environments.write": "editor",
  "secrets.manage": "admin",
  "workflows.read": "viewer",
  "workflows.write": "editor",
  "blobs.write": "operator",
  "jobs.read": "viewer",
  "jobs.write": "operator",
  "jobs.delete": "editor",
  "batches.read": "viewer",
  "batches.write": "operator",
  "runs.read": "viewer",
  "runs.write": "operator",
  "schedules.read": "viewer",
  "schedules.trigger": "operator",
  "schedules.write": "editor",
  "events.read": "viewer",
  "runners.read": "viewer",
  "runners.manage": "admin",
  "keys.manage": "admin",
  "audit.read": "admin",
} as const satisfies Record<string, Role | "runner" | "anyone">;

export type Permission = keyof typeof permissions;

/** True if the role, or a runner, has the permission; null stands for somebody without credentials. */
export function isAllowed(who: Role | "runner" | null, permission: Permission): boolean {
  const least: Role | "runner" | "anyone" | undefined = permissions[permission];
  if (least === "anyone") return true;
  if (least === undefined || who === null) return false;
  if (least === "runner" || who === "runner") return least === who;
  return roles.indexOf(who) >= roles.indexOf(least);
}
