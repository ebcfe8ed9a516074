import { findRunner } from "@maia/db";
import type { FindClient } from "./clients.js";

/** A runner as a client. The hosted one has no credentials, so it is none. */
export const findRunnerClient: FindClient = async (db, clientId) => {
  const runner = await findRunner(db.sql, clientId);
  if (!runner || runner.id !== clientId || runner.secretHash === null) return null;
  const { id, name, secretHash } = runner;
  return { caller: { type: "runner", id, name, role: null, projects: [], until: null }, secretHash };
};
