export { openLocalExecutor } from "./executor.js";
export type { IsolationReport, LocalExecutor, LocalExecutorOptions } from "./options.js";
