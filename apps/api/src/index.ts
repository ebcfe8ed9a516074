export { type AdminKey, ensureAdminKey } from "./admin-key.js";
export { type ApiConfig, readConfig } from "./config.js";
export { newSecret } from "./runners/credentials.js";
export { type Api, type ApiDeps, start } from "./start.js";
