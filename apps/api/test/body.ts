import type { Task } from "@maia/runner-protocol";

/** A list that a test takes the first item of; whether there is one shows when that is compared. */
export type Some<T> = [T, ...T[]];

/** One thing wrong with an input. */
export interface Fault {
  readonly pointer: string;
  readonly message: string;
  readonly row: number;
}

/** A version's snapshot or a definition, as far as tests look into it. */
export interface Snapshot {
  readonly name: string;
  readonly description: string;
  readonly env: Readonly<Record<string, string>>;
  readonly inputSpec: Readonly<Record<string, unknown>>;
  readonly dependencies: { readonly npm: Readonly<Record<string, string>>; readonly python: readonly string[] };
  readonly steps: Some<{ readonly key: string; readonly script: string; readonly timeoutMs: number }>;
}

/** A task as a poll brings it. */
export type GivenTask = Task & { readonly inline: Readonly<Record<string, string>> };

/**
 * What answers hold: the fields that tests go into, of every kind of answer together. Which of them an answer has is for the
 * test to say; what is only compared needs no name here.
 */
export interface Body {
  readonly [name: string]: unknown;
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly items: Some<Body>;
  readonly nextCursor: string;

  readonly code: string;
  readonly detail: string;
  readonly message: string;
  readonly requestId: string;
  readonly errors: Some<Fault>;
  readonly error: string;

  readonly workflow: string;
  readonly workflowId: string;
  readonly workflowSnap: Snapshot;
  readonly definition: Snapshot;
  readonly snapHash: string;
  readonly depsHash: string;
  readonly version: number;
  readonly latest: boolean;
  readonly changes: Some<{ readonly [name: string]: string }>;
  readonly from: Body;
  readonly to: Body;

  readonly projectId: string;
  readonly params: object;
  readonly counts: Readonly<Record<string, number>>;
  readonly steps: Some<Body>;
  readonly attempts: Some<Body>;
  readonly failure: Body;
  readonly cause: Body;
  readonly line: string;
  readonly action: string;
  readonly dueAt: string;
  readonly outcome: string;
  readonly nextRunAt: string;
  readonly lastUsedAt: string;

  readonly key: string;
  readonly access_token: string;
  readonly projects: Readonly<Record<string, unknown>>;

  readonly runnerName: string;
  readonly credentials: Body;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly notices: string[];
  readonly notes: Some<string>;
  readonly content: string;
  readonly value: string | null;
  readonly where: string;
  readonly meaning: string;
  readonly files: Some<Body>;
  readonly needed: boolean;
  readonly system: boolean;

  readonly instanceId: string;
  readonly generation: number;
  readonly tasks: Some<GivenTask>;
  readonly commands: Some<Body>;
  readonly type: string;
  readonly attemptId: string;
  readonly transferId: string;
  readonly unused: string[];
  readonly ackedSeq: number;
}
