export { type Accounted, accountFor, scheduledJob, setAside } from "./account.js";
export { type CreatedBatch, createBatch, tryBatch } from "./batch/create-batch.js";
export { type Item, readItems, type StoredItem } from "./batch/items-file.js";
export { type BatchRequest, CONCURRENCY_DEFAULT, CONCURRENCY_MAX, parseBatchRequest } from "./batch/request.js";
export { type RetryRequest, retryBatch } from "./batch/retry-batch.js";
export type { BatchContext, Caller, IntakeContext } from "./context.js";
export { type CreatedJob, createJob, type JobOrigin } from "./create-job.js";
export type { Frozen } from "./freeze.js";
export { type JobFile, type JobRequest, type JobUrlFile, parseJobRequest } from "./job-request.js";
export { type JobRules, jobRulesOf } from "./job-rules.js";
export { type PreparedJob, prepareJob, type Upload } from "./prepare-job.js";
export { type Promoted, promoteVersion } from "./promote-version.js";
export { type PublishRequest, publishWorkflow } from "./publish-workflow.js";
export { type RerunContext, rerunRun } from "./rerun.js";
export { parseRerunRequest, type RerunRequest } from "./rerun-request.js";
export { resolveRequest } from "./resolve.js";
export {
  parseScheduleChange,
  parseScheduleRequest,
  type ScheduleDocument,
  type ScheduleRequest,
} from "./schedule-request.js";
export { beginning, continuation, movesInstants, scheduleValues } from "./schedule-values.js";
export { type JobCause, type StorableJob, storeJob } from "./store-job.js";
export { type Published, type Publishing, storeWorkflow } from "./store-workflow.js";
export { freezeRequest, parseVersionRequest, type VersionRequest } from "./version-request.js";
