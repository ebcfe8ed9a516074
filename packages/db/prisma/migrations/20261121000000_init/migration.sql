-- CreateTable
CREATE TABLE "Project" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "eventFloor" INTEGER NOT NULL DEFAULT 0
);

-- CreateTable
CREATE TABLE "Environment" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "projectId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "variables" TEXT NOT NULL DEFAULT '{}',
    "defaultRunnerId" TEXT,
    "dataResidency" TEXT NOT NULL DEFAULT 'maia',
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "Environment_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Environment_defaultRunnerId_fkey" FOREIGN KEY ("defaultRunnerId") REFERENCES "Runner" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Secret" (
    "environmentId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "keyId" TEXT NOT NULL,
    "sealed" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,

    PRIMARY KEY ("environmentId", "name"),
    CONSTRAINT "Secret_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Runner" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "type" TEXT NOT NULL,
    "platform" TEXT NOT NULL,
    "deployment" TEXT,
    "track" TEXT NOT NULL,
    "autoUpdate" BOOLEAN NOT NULL DEFAULT false,
    "restricted" BOOLEAN NOT NULL DEFAULT false,
    "allowlist" TEXT NOT NULL DEFAULT '{"projects":{}}',
    "config" TEXT NOT NULL DEFAULT '{}',
    "secretHash" TEXT,
    "secretSealed" TEXT,
    "secretKeyId" TEXT,
    "secretVersion" INTEGER NOT NULL DEFAULT 1,
    "announcedStatus" TEXT,
    "deletedAt" DATETIME,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "RunnerInstance" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runnerId" TEXT NOT NULL,
    "ledgerId" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "processId" TEXT,
    "secretVersion" INTEGER NOT NULL,
    "protocol" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "slots" INTEGER NOT NULL,
    "labels" TEXT NOT NULL DEFAULT '{}',
    "isolation" TEXT NOT NULL,
    "capabilities" TEXT NOT NULL DEFAULT '[]',
    "storeId" TEXT,
    "free" INTEGER NOT NULL DEFAULT 0,
    "running" INTEGER NOT NULL DEFAULT 0,
    "load" TEXT NOT NULL DEFAULT '{}',
    "heartbeatSeq" INTEGER NOT NULL DEFAULT 0,
    "helloAt" DATETIME NOT NULL,
    "lastSeenAt" DATETIME NOT NULL,
    "silentAt" DATETIME,
    "stoppingAt" DATETIME,
    "stoppedAt" DATETIME,
    CONSTRAINT "RunnerInstance_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "RunnerPause" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runnerId" TEXT NOT NULL,
    "requestedAt" DATETIME NOT NULL,
    "requestedBy" TEXT,
    "note" TEXT NOT NULL DEFAULT '',
    "quietAt" DATETIME,
    "resumedAt" DATETIME,
    "resumedBy" TEXT,
    CONSTRAINT "RunnerPause_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "RunnerCommand" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runnerId" TEXT NOT NULL,
    "instanceId" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "data" TEXT NOT NULL DEFAULT '{}',
    "createdAt" DATETIME NOT NULL,
    "takenAt" DATETIME,
    "result" TEXT,
    "finishedAt" DATETIME,
    CONSTRAINT "RunnerCommand_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "RunnerActivity" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runnerId" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "note" TEXT NOT NULL DEFAULT '',
    "data" TEXT NOT NULL DEFAULT '{}',
    CONSTRAINT "RunnerActivity_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "RunnerRelease" (
    "version" TEXT NOT NULL,
    "track" TEXT NOT NULL,
    "image" TEXT,
    "releasedAt" DATETIME NOT NULL,
    "supportedUntil" DATETIME,
    "securityFix" BOOLEAN NOT NULL DEFAULT false,

    PRIMARY KEY ("version", "track")
);

-- CreateTable
CREATE TABLE "StepTransaction" (
    "runId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "runnerId" TEXT NOT NULL,
    "instanceId" TEXT,
    "ledgerId" TEXT NOT NULL,
    "openedAt" DATETIME NOT NULL,
    "closedAt" DATETIME,

    PRIMARY KEY ("runId", "name"),
    CONSTRAINT "StepTransaction_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "StepTransaction_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Gateway" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "heartbeatSeq" INTEGER NOT NULL,
    "beatAt" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "Engine" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "bellId" TEXT NOT NULL,
    "heartbeatSeq" INTEGER NOT NULL,
    "startedAt" DATETIME NOT NULL,
    "endedAt" DATETIME
);

-- CreateTable
CREATE TABLE "Workflow" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "projectId" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "draft" TEXT NOT NULL,
    "draftHash" TEXT NOT NULL,
    "latestVersion" INTEGER,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    "deletedAt" DATETIME,
    CONSTRAINT "Workflow_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "WorkflowVersion" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "workflowId" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "workflowSnap" TEXT NOT NULL,
    "snapHash" TEXT NOT NULL,
    "depsHash" TEXT,
    "depsLock" TEXT,
    "message" TEXT NOT NULL DEFAULT '',
    "createdAt" DATETIME NOT NULL,
    "createdBy" TEXT,
    CONSTRAINT "WorkflowVersion_workflowId_fkey" FOREIGN KEY ("workflowId") REFERENCES "Workflow" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "JobRun" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "projectId" TEXT NOT NULL,
    "workflowId" TEXT NOT NULL,
    "workflowVersionId" TEXT NOT NULL,
    "environmentId" TEXT NOT NULL,
    "runnerId" TEXT,
    "dataResidency" TEXT NOT NULL DEFAULT 'maia',
    "status" TEXT NOT NULL,
    "inputJson" TEXT NOT NULL,
    "priority" INTEGER NOT NULL DEFAULT 0,
    "labels" TEXT NOT NULL DEFAULT '{}',
    "trigger" TEXT NOT NULL,
    "scheduleId" TEXT,
    "scheduledFor" DATETIME,
    "batchId" TEXT,
    "itemIndex" INTEGER,
    "originRunId" TEXT,
    "rerun" TEXT,
    "cancelRequestedAt" DATETIME,
    "cancelReason" TEXT,
    "failure" TEXT,
    "requestedBy" TEXT,
    "queueDeadline" DATETIME,
    "createdAt" DATETIME NOT NULL,
    "startedAt" DATETIME,
    "finishedAt" DATETIME,
    CONSTRAINT "JobRun_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "JobRun_workflowId_fkey" FOREIGN KEY ("workflowId") REFERENCES "Workflow" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "JobRun_workflowVersionId_fkey" FOREIGN KEY ("workflowVersionId") REFERENCES "WorkflowVersion" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "JobRun_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "JobRun_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "JobRun_scheduleId_fkey" FOREIGN KEY ("scheduleId") REFERENCES "Schedule" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "JobRun_batchId_fkey" FOREIGN KEY ("batchId") REFERENCES "Batch" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Run" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "jobRunId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "workflowId" TEXT NOT NULL,
    "workflowVersionId" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "initialInput" TEXT NOT NULL,
    "outputs" TEXT,
    "failure" TEXT,
    "cancelRequestedAt" DATETIME,
    "cancelReason" TEXT,
    "ownerId" TEXT NOT NULL,
    "ownerEpoch" INTEGER NOT NULL,
    "storeId" TEXT,
    "createdAt" DATETIME NOT NULL,
    "startedAt" DATETIME,
    "finishedAt" DATETIME,
    CONSTRAINT "Run_jobRunId_fkey" FOREIGN KEY ("jobRunId") REFERENCES "JobRun" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Run_workflowVersionId_fkey" FOREIGN KEY ("workflowVersionId") REFERENCES "WorkflowVersion" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "RunStep" (
    "runId" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "nextAttemptAt" DATETIME,
    "startedAt" DATETIME,
    "finishedAt" DATETIME,
    "reusedAttemptId" TEXT,
    "queuedAt" DATETIME,
    "queuedFor" TEXT,

    PRIMARY KEY ("runId", "key"),
    CONSTRAINT "RunStep_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "RunStep_reusedAttemptId_fkey" FOREIGN KEY ("reusedAttemptId") REFERENCES "Attempt" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Attempt" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runId" TEXT NOT NULL,
    "stepKey" TEXT NOT NULL,
    "no" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "engineId" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "runnerId" TEXT,
    "instanceId" TEXT,
    "ledgerId" TEXT,
    "offeredAt" DATETIME,
    "handedAt" DATETIME,
    "lastSeq" INTEGER NOT NULL DEFAULT 0,
    "seqBase" INTEGER NOT NULL DEFAULT 0,
    "isolation" TEXT,
    "reused" BOOLEAN NOT NULL DEFAULT false,
    "exitCode" INTEGER,
    "signal" TEXT,
    "reason" TEXT,
    "failure" TEXT,
    "output" TEXT,
    "truncatedLines" INTEGER NOT NULL DEFAULT 0,
    "truncatedBytes" INTEGER NOT NULL DEFAULT 0,
    "logSize" BIGINT NOT NULL DEFAULT 0,
    "stopRequestedAt" DATETIME,
    "createdAt" DATETIME NOT NULL,
    "startedAt" DATETIME,
    "finishedAt" DATETIME,
    CONSTRAINT "Attempt_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Attempt_runId_stepKey_fkey" FOREIGN KEY ("runId", "stepKey") REFERENCES "RunStep" ("runId", "key") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "InputBlob" (
    "sha256" TEXT NOT NULL PRIMARY KEY,
    "sizeBytes" BIGINT NOT NULL,
    "mime" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "usedAt" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "BlobAccess" (
    "sha256" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,

    PRIMARY KEY ("sha256", "projectId"),
    CONSTRAINT "BlobAccess_sha256_fkey" FOREIGN KEY ("sha256") REFERENCES "InputBlob" ("sha256") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "InputFile" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "jobRunId" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "url" TEXT,
    "sha256" TEXT,
    "path" TEXT,
    "sizeBytes" BIGINT,
    "mime" TEXT,
    "error" TEXT,
    "createdAt" DATETIME NOT NULL,
    CONSTRAINT "InputFile_jobRunId_fkey" FOREIGN KEY ("jobRunId") REFERENCES "JobRun" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "InputFile_sha256_fkey" FOREIGN KEY ("sha256") REFERENCES "InputBlob" ("sha256") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Artifact" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "runId" TEXT NOT NULL,
    "attemptId" TEXT NOT NULL,
    "stepKey" TEXT NOT NULL,
    "attemptNo" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "mime" TEXT NOT NULL,
    "sizeBytes" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "system" BOOLEAN NOT NULL,
    "createdAt" DATETIME NOT NULL,
    CONSTRAINT "Artifact_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Artifact_attemptId_fkey" FOREIGN KEY ("attemptId") REFERENCES "Attempt" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "StoredAfar" (
    "ownerId" TEXT NOT NULL PRIMARY KEY,
    "storeId" TEXT NOT NULL,
    "runnerId" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "sizeBytes" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "LogEvent" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "runId" TEXT,
    "projectId" TEXT,
    "kind" TEXT NOT NULL,
    "attemptId" TEXT,
    "fromSeq" INTEGER,
    "toSeq" INTEGER,
    "data" TEXT NOT NULL
);

-- CreateTable
CREATE TABLE "Schedule" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "projectId" TEXT NOT NULL,
    "workflowId" TEXT NOT NULL,
    "name" TEXT,
    "version" INTEGER,
    "environmentId" TEXT,
    "runnerId" TEXT,
    "priority" INTEGER NOT NULL DEFAULT 0,
    "labels" TEXT NOT NULL DEFAULT '{}',
    "params" TEXT NOT NULL DEFAULT '{}',
    "urlFiles" TEXT NOT NULL DEFAULT '[]',
    "kind" TEXT NOT NULL,
    "cron" TEXT,
    "intervalMs" BIGINT,
    "timezone" TEXT NOT NULL DEFAULT 'UTC',
    "anchorAt" DATETIME NOT NULL,
    "misfire" TEXT NOT NULL DEFAULT 'fire_once',
    "catchUpLimit" INTEGER NOT NULL DEFAULT 100,
    "overlap" TEXT NOT NULL DEFAULT 'skip',
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "nextRunAt" DATETIME,
    "lastRunAt" DATETIME,
    "revision" INTEGER NOT NULL DEFAULT 0,
    "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    "deletedAt" DATETIME,
    CONSTRAINT "Schedule_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Schedule_workflowId_fkey" FOREIGN KEY ("workflowId") REFERENCES "Workflow" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Schedule_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "Schedule_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "ScheduleTick" (
    "scheduleId" TEXT NOT NULL,
    "dueAt" DATETIME NOT NULL,
    "lastDueAt" DATETIME NOT NULL,
    "count" INTEGER NOT NULL DEFAULT 1,
    "outcome" TEXT NOT NULL,
    "jobRunId" TEXT,
    "failure" TEXT,
    "accountedAt" DATETIME NOT NULL,

    PRIMARY KEY ("scheduleId", "dueAt"),
    CONSTRAINT "ScheduleTick_scheduleId_fkey" FOREIGN KEY ("scheduleId") REFERENCES "Schedule" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Batch" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "projectId" TEXT NOT NULL,
    "workflowId" TEXT NOT NULL,
    "workflowVersionId" TEXT NOT NULL,
    "environmentId" TEXT NOT NULL,
    "runnerId" TEXT,
    "originBatchId" TEXT,
    "status" TEXT NOT NULL,
    "priority" INTEGER NOT NULL DEFAULT 0,
    "labels" TEXT NOT NULL DEFAULT '{}',
    "itemsSha256" TEXT NOT NULL,
    "itemCount" INTEGER NOT NULL,
    "columns" TEXT,
    "cursor" INTEGER NOT NULL DEFAULT 0,
    "cursorBytes" BIGINT NOT NULL DEFAULT 0,
    "concurrency" INTEGER NOT NULL,
    "maxFailures" INTEGER,
    "failure" TEXT,
    "requestedBy" TEXT,
    "counts" TEXT,
    "cancelRequestedAt" DATETIME,
    "createdAt" DATETIME NOT NULL,
    "finishedAt" DATETIME,
    CONSTRAINT "Batch_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Batch_workflowId_fkey" FOREIGN KEY ("workflowId") REFERENCES "Workflow" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Batch_workflowVersionId_fkey" FOREIGN KEY ("workflowVersionId") REFERENCES "WorkflowVersion" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Batch_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Batch_runnerId_fkey" FOREIGN KEY ("runnerId") REFERENCES "Runner" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "BatchBlob" (
    "batchId" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,

    PRIMARY KEY ("batchId", "sha256"),
    CONSTRAINT "BatchBlob_batchId_fkey" FOREIGN KEY ("batchId") REFERENCES "Batch" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "BatchBlob_sha256_fkey" FOREIGN KEY ("sha256") REFERENCES "InputBlob" ("sha256") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "IdempotencyKey" (
    "principal" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "requestHash" TEXT NOT NULL,
    "status" INTEGER NOT NULL,
    "location" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,

    PRIMARY KEY ("principal", "key")
);

-- CreateTable
CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "projects" TEXT,
    "secretHash" TEXT NOT NULL,
    "lastFour" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME,
    "revokedAt" DATETIME,
    "lastUsedAt" DATETIME
);

-- CreateTable
CREATE TABLE "AuditEvent" (
    "seq" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "id" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "requestId" TEXT,
    "ip" TEXT,
    "detail" TEXT NOT NULL DEFAULT '{}',
    "prevHash" TEXT NOT NULL,
    "hash" TEXT NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "Project_name_key" ON "Project"("name");

-- CreateIndex
CREATE UNIQUE INDEX "Environment_projectId_name_key" ON "Environment"("projectId", "name");

-- CreateIndex
CREATE INDEX "Runner_name_idx" ON "Runner"("name");

-- CreateIndex
CREATE UNIQUE INDEX "RunnerInstance_runnerId_ledgerId_key" ON "RunnerInstance"("runnerId", "ledgerId");

-- CreateIndex
CREATE INDEX "RunnerPause_runnerId_id_idx" ON "RunnerPause"("runnerId", "id");

-- CreateIndex
CREATE INDEX "RunnerCommand_instanceId_takenAt_idx" ON "RunnerCommand"("instanceId", "takenAt");

-- CreateIndex
CREATE INDEX "RunnerActivity_runnerId_id_idx" ON "RunnerActivity"("runnerId", "id");

-- CreateIndex
CREATE INDEX "RunnerRelease_track_releasedAt_idx" ON "RunnerRelease"("track", "releasedAt");

-- CreateIndex
CREATE INDEX "StepTransaction_runnerId_closedAt_idx" ON "StepTransaction"("runnerId", "closedAt");

-- CreateIndex
CREATE INDEX "Workflow_projectId_id_idx" ON "Workflow"("projectId", "id");

-- CreateIndex
CREATE UNIQUE INDEX "Workflow_projectId_slug_key" ON "Workflow"("projectId", "slug");

-- CreateIndex
CREATE UNIQUE INDEX "WorkflowVersion_workflowId_version_key" ON "WorkflowVersion"("workflowId", "version");

-- CreateIndex
CREATE INDEX "JobRun_status_runnerId_priority_workflowId_id_idx" ON "JobRun"("status", "runnerId", "priority" DESC, "workflowId", "id");

-- CreateIndex
CREATE INDEX "JobRun_status_queueDeadline_idx" ON "JobRun"("status", "queueDeadline");

-- CreateIndex
CREATE INDEX "JobRun_projectId_id_idx" ON "JobRun"("projectId", "id");

-- CreateIndex
CREATE INDEX "JobRun_workflowId_status_id_idx" ON "JobRun"("workflowId", "status", "id");

-- CreateIndex
CREATE INDEX "JobRun_status_id_idx" ON "JobRun"("status", "id");

-- CreateIndex
CREATE INDEX "JobRun_scheduleId_id_idx" ON "JobRun"("scheduleId", "id");

-- CreateIndex
CREATE INDEX "JobRun_batchId_id_idx" ON "JobRun"("batchId", "id");

-- CreateIndex
CREATE INDEX "JobRun_batchId_status_idx" ON "JobRun"("batchId", "status");

-- CreateIndex
CREATE INDEX "JobRun_originRunId_idx" ON "JobRun"("originRunId");

-- CreateIndex
CREATE UNIQUE INDEX "JobRun_batchId_itemIndex_key" ON "JobRun"("batchId", "itemIndex");

-- CreateIndex
CREATE UNIQUE INDEX "JobRun_scheduleId_scheduledFor_key" ON "JobRun"("scheduleId", "scheduledFor");

-- CreateIndex
CREATE UNIQUE INDEX "Run_jobRunId_key" ON "Run"("jobRunId");

-- CreateIndex
CREATE INDEX "Run_status_id_idx" ON "Run"("status", "id");

-- CreateIndex
CREATE INDEX "Run_projectId_id_idx" ON "Run"("projectId", "id");

-- CreateIndex
CREATE INDEX "Run_workflowId_status_id_idx" ON "Run"("workflowId", "status", "id");

-- CreateIndex
CREATE INDEX "RunStep_reusedAttemptId_idx" ON "RunStep"("reusedAttemptId");

-- CreateIndex
CREATE INDEX "RunStep_queuedFor_queuedAt_idx" ON "RunStep"("queuedFor", "queuedAt");

-- CreateIndex
CREATE INDEX "Attempt_status_runnerId_instanceId_idx" ON "Attempt"("status", "runnerId", "instanceId");

-- CreateIndex
CREATE UNIQUE INDEX "Attempt_runId_stepKey_no_key" ON "Attempt"("runId", "stepKey", "no");

-- CreateIndex
CREATE INDEX "InputBlob_usedAt_idx" ON "InputBlob"("usedAt");

-- CreateIndex
CREATE INDEX "InputFile_sha256_idx" ON "InputFile"("sha256");

-- CreateIndex
CREATE UNIQUE INDEX "InputFile_jobRunId_position_key" ON "InputFile"("jobRunId", "position");

-- CreateIndex
CREATE INDEX "Artifact_runId_id_idx" ON "Artifact"("runId", "id");

-- CreateIndex
CREATE UNIQUE INDEX "Artifact_attemptId_system_name_key" ON "Artifact"("attemptId", "system", "name");

-- CreateIndex
CREATE INDEX "StoredAfar_storeId_sha256_idx" ON "StoredAfar"("storeId", "sha256");

-- CreateIndex
CREATE INDEX "LogEvent_runId_id_idx" ON "LogEvent"("runId", "id");

-- CreateIndex
CREATE INDEX "LogEvent_kind_id_idx" ON "LogEvent"("kind", "id");

-- CreateIndex
CREATE UNIQUE INDEX "LogEvent_attemptId_fromSeq_key" ON "LogEvent"("attemptId", "fromSeq");

-- CreateIndex
CREATE INDEX "Schedule_enabled_nextRunAt_idx" ON "Schedule"("enabled", "nextRunAt");

-- CreateIndex
CREATE INDEX "Schedule_projectId_id_idx" ON "Schedule"("projectId", "id");

-- CreateIndex
CREATE INDEX "Batch_status_id_idx" ON "Batch"("status", "id");

-- CreateIndex
CREATE INDEX "Batch_projectId_id_idx" ON "Batch"("projectId", "id");

-- CreateIndex
CREATE INDEX "Batch_workflowId_id_idx" ON "Batch"("workflowId", "id");

-- CreateIndex
CREATE INDEX "BatchBlob_sha256_idx" ON "BatchBlob"("sha256");

-- CreateIndex
CREATE INDEX "IdempotencyKey_createdAt_idx" ON "IdempotencyKey"("createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "AuditEvent_id_key" ON "AuditEvent"("id");


