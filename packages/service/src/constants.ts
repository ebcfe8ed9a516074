import { availableParallelism } from "node:os";
import { ConfigError, type Env, readInteger } from "./env.js";

const KIB = 1_024;
const MIB = 1_024 * KIB;
const GIB = 1_024 * MIB;

/**
 * Every number that an operator or a test may want to change, by its name in the code. Names that end in `Ms` are
 * milliseconds, names that end in `Max` and speak of text or files are bytes, the others are counts.
 */
const fixed = {
  engineTickMs: 250,
  leaseTtlMs: 15_000,
  leaseRenewMs: 5_000,
  dbBusyTimeoutMs: 100,
  dbRetryBudgetMs: 5_000,
  cancelDeliveryMs: 2_000,
  cancelGraceMs: 10_000,
  streamHeartbeatMs: 10_000,
  streamIdleMs: 45_000,
  runnerUnknownMs: 30_000,
  runnerHeartbeatMs: 5_000,
  /** How long a runner's instance that nothing is heard of is remembered while others of the runner are heard of. */
  runnerForgetMs: 86_400_000,
  runnerReconnectWindowMs: 60_000,
  /** The same for runners that dial out: as `MAIA_RUNNER_RECONNECT_WINDOW_MS` says where that is set. */
  gatewayReconnectWindowMs: 600_000,
  pauseAutoResumeMs: 43_200_000,
  resumeQueueTimeoutMs: 900_000,
  maxAttemptsLost: 3,
  logLineMax: 64 * KIB,
  logAttemptMax: 64 * MIB,
  batchItemsMax: 100_000,
  jsonBodyMax: MIB,
  jsonDepthMax: 64,
  schemaMaxBytes: 64 * KIB,
  schemaNodesMax: 2_000,
  schemaValidateMs: 500,
  uploadFileMax: 100 * MIB,
  uploadFilesMax: 20,
  /** How long an upload in parts may rest before it is forgotten. */
  uploadRestMs: 86_400_000,
  urlWireMax: 100 * MIB,
  urlDecodedMax: 100 * MIB,
  urlTotalMs: 120_000,
  urlRedirectsMax: 5,
  urlConcurrency: 4,
  urlRetries: 3,
  urlRetryMs: 500,
  drainLimitMs: 43_200_000,
  tokenTtlMs: 900_000,
  idempotencyTtlMs: 86_400_000,
  /** How often the process's log says where the audit log ends. */
  auditHeadMs: 3_600_000,
  blobGcAgeMs: 3_600_000,
  sweepMs: 300_000,
  /** How long ended jobs are kept, and how many bytes of data in all before the oldest go; 0: for ever, without limit. */
  retentionMs: 0,
  retentionMax: 0,
  depsInstallMs: 600_000,
  depsCacheMax: 10 * 1_024 * MIB,
  connectivityTimeoutMs: 5_000,
  /** How long a runner may take to begin to send bytes that it keeps. */
  transferWaitMs: 10_000,
  outputMax: 512 * KIB,
  /** Artifacts of one attempt: how many, and how many bytes together. */
  artifactsMax: 10_000,
  artifactMax: 10 * GIB,
  /** Memory of one step's process; 0: as much as the host has. */
  stepMemoryMax: 0,
  /** Above this use of its processors or its memory a runner that dials out asks for no task. In percent; 100: no mark. */
  runnerCpuMark: 80,
  runnerMemoryMark: 90,
  /** Nor with less room on the disk of its data directory. In bytes; 0: no mark. */
  runnerDiskMin: 64 * MIB,
} as const;

/** How many of each may be in flight at once, from the cores. */
const perCore = { runConcurrency: 16, stepConcurrency: 4, runnerSlots: 4 } as const;

/** With nothing of these Maia would do nothing, or nothing else than ask. */
const neverNone = [
  "engineTickMs",
  "streamHeartbeatMs",
  "runnerHeartbeatMs",
  "tokenTtlMs",
  "runConcurrency",
  "stepConcurrency",
  "runnerSlots",
] as const;

/** A number per name. */
export type Constants = { readonly [name in keyof typeof fixed | keyof typeof perCore]: number };

/** The variable that sets a constant: `leaseTtlMs` is read as `MAIA_LEASE_TTL_MS`. */
export function constantVariable(name: string): string {
  return `MAIA_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/**
 * Reads all constants. A default given here stands instead of the general one (a runner behind the gateway waits longer
 * to reconnect). Unless it is set, the lease is renewed at a third of a shortened lease.
 * @throws {ConfigError} naming the variable.
 */
export function readConstants(env: Env, defaults: Partial<Constants> = {}): Constants {
  const cores = availableParallelism();
  const scaled = Object.entries(perCore).map(([name, count]) => [name, count * cores] as const);
  const base: Record<string, number> = { ...fixed, ...Object.fromEntries(scaled), ...defaults };
  const leaseTtlMs = readInteger(env, "MAIA_LEASE_TTL_MS", base.leaseTtlMs!);
  base.leaseRenewMs = Math.min(base.leaseRenewMs!, Math.ceil(leaseTtlMs / 3));

  base.gatewayReconnectWindowMs = readInteger(env, "MAIA_RUNNER_RECONNECT_WINDOW_MS", base.gatewayReconnectWindowMs!);

  const read = Object.entries(base).map(([name, value]) => [name, readInteger(env, constantVariable(name), value)]);
  const constants = Object.fromEntries(read) as Constants;
  checkWhole(constants);
  if (constants.leaseRenewMs >= constants.leaseTtlMs) {
    throw new ConfigError(
      `MAIA_LEASE_RENEW_MS is ${constants.leaseRenewMs}, but must be less than MAIA_LEASE_TTL_MS (${leaseTtlMs}), or a lease runs out before it is renewed`,
    );
  }
  return constants;
}

/** @throws {ConfigError} where a number makes no sense, alone or beside another. */
function checkWhole(constants: Constants): void {
  const none = neverNone.find((name) => constants[name] === 0);
  if (none) throw new ConfigError(`${constantVariable(none)} is 0, but must be 1 or more`);
  const { runnerHeartbeatMs, runnerUnknownMs } = constants;
  if (runnerUnknownMs > runnerHeartbeatMs) return;
  throw new ConfigError(
    `MAIA_RUNNER_UNKNOWN_MS is ${runnerUnknownMs}, but must be more than MAIA_RUNNER_HEARTBEAT_MS (${runnerHeartbeatMs}), or a runner counts as gone between two of its beats`,
  );
}
