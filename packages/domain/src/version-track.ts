/** How often a runner gets new versions: as soon as there are any, or once a month. */
export const runnerTracks = ["current", "stable"] as const;
export type RunnerTrack = (typeof runnerTracks)[number];

/** A published version of the runner. */
export interface Release {
  readonly version: string;
  readonly track: RunnerTrack;
  readonly releasedAt: Date;
  /** Null: it is supported until somebody says otherwise. */
  readonly supportedUntil: Date | null;
  readonly securityFix: boolean;
}

export const supportStates = ["SUPPORTED", "OUT_OF_SUPPORT", "UNKNOWN"] as const;

/** How a runner's version stands beside what was released. */
export interface VersionState {
  /** What its instances say; null before the first has said hello. */
  readonly reported: string | null;
  /** The newest on the runner's track; null where none was released. */
  readonly latest: string | null;
  readonly releasedAt: Date | null;
  readonly updateAvailable: boolean;
  /** Null: nothing is reported yet. */
  readonly support: (typeof supportStates)[number] | null;
}

/** How the reported version stands on a track. A release counts from the moment that it names. */
export function versionState(
  reported: string | null,
  track: RunnerTrack,
  releases: readonly Release[],
  now: Date,
): VersionState {
  const out = releases.filter(({ releasedAt }) => releasedAt <= now);
  const latest = out
    .filter((release) => release.track === track)
    .reduce<Release | null>(
      (best, one) => (best && compareVersions(best.version, one.version) >= 0 ? best : one),
      null,
    );
  return {
    reported,
    latest: latest?.version ?? null,
    releasedAt: latest?.releasedAt ?? null,
    updateAvailable: reported !== null && latest !== null && compareVersions(latest.version, reported) > 0,
    support: reported === null ? null : supportOf(reported, out, now),
  };
}

/** A version may be on both tracks; it is supported as long as it is on one of them. */
function supportOf(reported: string, releases: readonly Release[], now: Date): VersionState["support"] {
  const known = releases.filter(({ version }) => version === reported);
  if (known.length === 0) return "UNKNOWN";
  const isSupported = known.some(({ supportedUntil }) => supportedUntil === null || supportedUntil > now);
  return isSupported ? "SUPPORTED" : "OUT_OF_SUPPORT";
}

const VERSION = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?$/;

/** What is wrong with a version, or null. */
export function versionProblem(text: string): string | null {
  return VERSION.test(text) ? null : "must be a version such as 1.4.0 (https://semver.org)";
}

/** Below 0 where `a` comes before `b` (Semantic Versioning 2.0, clause 11). What is no version comes before all that are. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [VERSION.exec(a), VERSION.exec(b)];
  if (!left || !right) return Number(left !== null) - Number(right !== null);
  for (const part of [1, 2, 3]) {
    const difference = Number(left[part]) - Number(right[part]);
    if (difference !== 0) return difference;
  }
  const [before, after] = [left[4], right[4]];
  if (before === undefined || after === undefined) return Number(before === undefined) - Number(after === undefined);
  return compareLists(before.split("."), after.split("."));
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) return 1;
    const difference = compareIdentifiers(left, right);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Numbers come before words. */
function compareIdentifiers(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOtherNumber) return Number(a) - Number(b);
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}
