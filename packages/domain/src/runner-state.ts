import { isConnected, isPaused, pausedUntil, type RunnerFacts, type RunnerStatus, runnerStatus } from "./runner.js";
import { compareVersions, type Release, type RunnerTrack, type VersionState, versionState } from "./version-track.js";

/** What is known of a runner at a moment. */
export interface RunnerSight {
  readonly track: RunnerTrack;
  readonly facts: RunnerFacts;
  /** What its instances say that they are, the newest instance last. */
  readonly versions: readonly { readonly version: string; readonly connected: boolean }[];
  /** Jobs and steps that wait for it. */
  readonly queued: number;
}

/** What a runner is doing, as its readers see it. */
export interface RunnerState {
  readonly status: RunnerStatus;
  readonly connected: boolean;
  /** When a pause ends by itself; null while the runner is not PAUSED. */
  readonly pausedUntil: Date | null;
  /** How many can be talked to. */
  readonly instances: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly version: VersionState;
}

/** What a runner is doing, from what is known of it. */
export function runnerState(
  { track, facts, versions, queued }: RunnerSight,
  releases: readonly Release[],
  autoResumeMs: number,
  now: Date,
): RunnerState {
  const { pause, inFlight } = facts;
  const status = runnerStatus(facts, autoResumeMs, now);
  const instances = facts.instances.filter(isConnected).length;
  return {
    status,
    connected: instances > 0,
    pausedUntil: pause && isPaused(pause, autoResumeMs, now) ? pausedUntil(pause, autoResumeMs) : null,
    instances,
    inFlight,
    queued,
    version: versionState(reportedVersion(versions), track, releases, now),
  };
}

/** The oldest version that is connected, since an update is not done before all have it; else that of the last instance. */
function reportedVersion(versions: RunnerSight["versions"]): string | null {
  const connected = versions.filter((instance) => instance.connected).map(({ version }) => version);
  if (connected.length === 0) return versions.at(-1)?.version ?? null;
  return connected.reduce((oldest, version) => (compareVersions(version, oldest) < 0 ? version : oldest));
}
