export { openLocalExecutor } from "./executor.js";
export type { DepsOptions, IsolationReport, LocalExecutor, LocalExecutorOptions } from "./options.js";
