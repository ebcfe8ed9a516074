import { findRunnerCredential } from "@maia/db";
import type { FindClient } from "./clients.js";

/** A runner as a client. It has no role and sees no project: its token opens the routes that are for runners. */
export const findRunnerClient: FindClient = async (db, clientId) => {
  const runner = await findRunnerCredential(db.sql, clientId);
  if (!runner) return null;
  const { id, name, secretHash } = runner;
  return { caller: { type: "runner", id, name, role: null, projects: [], until: null }, secretHash };
};
