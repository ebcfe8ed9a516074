/** What the CLI reads of the API's answers. `/v1/openapi.json` has the rest. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly stepKey?: string | null;
  /** Of a run that is shown by itself: what failed first. */
  readonly cause?: Cause | null;
}

export interface Cause {
  readonly kind: "attempt" | "file";
  readonly stepKey?: string;
  readonly attemptNo?: number;
  readonly attempts?: number;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
  readonly lines?: readonly { readonly stream: string; readonly line: string }[];
  readonly name?: string;
  readonly url?: string | null;
}

export interface JobRun {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: string;
  readonly runId: string | null;
  readonly failure?: Failure | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface Batch {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: string;
  readonly itemCount: number;
  readonly concurrency: number;
  readonly counts: Readonly<Record<"waiting" | "queued" | "running" | "succeeded" | "failed" | "canceled", number>>;
  readonly failure: Failure | null;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}

export interface Attempt {
  readonly id: string;
  readonly no: number;
  readonly status: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: string | null;
  readonly failure: Failure | null;
  readonly isolation: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface Step {
  readonly key: string;
  readonly name: string;
  readonly runtime: string;
  readonly deps: readonly string[];
  readonly status: string;
  readonly nextAttemptAt: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** In a re-run: whose result the step has. */
  readonly reusedFrom?: { readonly runId: string; readonly attemptId: string; readonly attemptNo: number };
  readonly attempts: readonly Attempt[];
}

export interface Run {
  readonly id: string;
  readonly jobId: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly version: number;
  readonly status: string;
  /** In a re-run: the run that it does again. */
  readonly originRunId?: string;
  readonly outputs: Readonly<Record<string, unknown>> | null;
  readonly failure: Failure | null;
  readonly steps: readonly Step[];
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface Artifact {
  readonly id: string;
  readonly runId: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  readonly name: string;
  readonly mime: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly system: boolean;
  readonly createdAt: string;
}

export interface LogItem {
  readonly at: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  readonly seq: number;
  readonly stream: string;
  readonly line: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** A secret without its value. */
export interface Secret {
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Schedule {
  readonly id: string;
  readonly name: string | null;
  readonly workflow: string;
  readonly version: number | null;
  readonly cron: string | null;
  readonly intervalMs: number | null;
  readonly timezone: string;
  readonly misfire: string;
  readonly catchUpLimit: number;
  readonly overlap: string;
  readonly enabled: boolean;
  readonly params: Readonly<Record<string, unknown>>;
  readonly nextRunAt: string | null;
  readonly lastRunAt: string | null;
  readonly lastTick: { readonly dueAt: string; readonly outcome: string; readonly jobId: string | null } | null;
}

export interface Tick {
  readonly dueAt: string;
  readonly lastDueAt: string;
  readonly count: number;
  readonly outcome: string;
  readonly jobId: string | null;
  readonly failure: Failure | null;
}

/** When a schedule comes due, in UTC and as its own clock shows it. */
export interface Upcoming {
  readonly timezone: string;
  readonly items: readonly { readonly dueAt: string; readonly localTime: string }[];
}

export interface Project {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
}

export interface Environment {
  readonly id: string;
  readonly name: string;
  readonly project: string;
  readonly variables: { readonly [name: string]: string };
  /** Null: there is none. */
  readonly defaultRunnerName: string | null;
  /** Who keeps files and artifacts. Left out by a Maia that always does so itself. */
  readonly dataResidency?: "maia" | "runner";
}

/** An API key without its secret. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Ids; null is every project. */
  readonly projects: readonly string[] | null;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  readonly lastUsedAt: string | null;
}

export interface Runner {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly type: string;
  readonly platform: string;
  readonly deployment: string | null;
  readonly track: string;
  readonly autoUpdate: boolean;
  readonly restricted: boolean;
  readonly status: string;
  readonly connected: boolean;
  readonly pausedUntil: string | null;
  readonly instances: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly version: {
    readonly reported: string | null;
    readonly latest: string | null;
    readonly updateAvailable: boolean;
    readonly support: string | null;
  };
  /** In the answer that made it. */
  readonly credentials?: { readonly clientId: string; readonly clientSecret: string };
}

export interface RunnerParameter {
  readonly name: string;
  readonly needed: boolean;
  readonly meaning: string;
  readonly default: string | null;
  readonly value: string | null;
  readonly where: string;
}

export interface RunnerInstance {
  readonly id: string;
  readonly status: string;
  readonly version: string;
  readonly slots: number;
  readonly running: number;
  readonly isolation: string;
  readonly labels: { readonly [name: string]: string };
  readonly lastSeenAt: string;
}

export interface RunnerActivity {
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly note: string;
  readonly data: { readonly [name: string]: unknown };
}

/** Projects by id; without environments: all of them. */
export interface AllowList {
  readonly projects: { readonly [project: string]: { readonly environments?: readonly string[] } };
}
