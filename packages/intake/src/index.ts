export { type Accounted, accountFor, scheduledJob, setAside } from "./account.js";
export type { Caller, IntakeContext } from "./context.js";
export { type CreatedJob, createJob, type JobOrigin } from "./create-job.js";
export { type JobFile, type JobRequest, type JobUrlFile, parseJobRequest } from "./job-request.js";
export { type PreparedJob, prepareJob, type Upload } from "./prepare-job.js";
export { type Published, type PublishRequest, publishWorkflow } from "./publish-workflow.js";
export {
  parseScheduleChange,
  parseScheduleRequest,
  type ScheduleDocument,
  type ScheduleRequest,
} from "./schedule-request.js";
export { beginning, continuation, movesInstants, scheduleValues } from "./schedule-values.js";
export { type JobCause, storeJob } from "./store-job.js";
