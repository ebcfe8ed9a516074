import { findApiKeyCredential, touchApiKey } from "@maia/db";
import { callerOf } from "../auth.js";
import type { FindClient } from "./clients.js";

/** An API key as a client: its id is the client's, the part of it behind the second underscore the secret. */
export const findKeyClient: FindClient = async (db, clientId, now) => {
  const found = await findApiKeyCredential(db.sql, clientId, now);
  if (!found) return null;
  const { key, secretHash } = found;
  return { caller: callerOf(key), secretHash, noteUse: (tx) => touchApiKey(tx, key.id, now) };
};
