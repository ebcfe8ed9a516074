/**
 * A way by which tasks come to this runner and frames go back. A carrier translates: it hands tasks to `Attempts`, which
 * alone decides what is started, and passes on what `Attempts` lets it follow.
 */
export interface Carrier extends AsyncDisposable {
  /** Where this runner can be reached, or whom it has dialled; for the log. */
  readonly url: string;
  /** Settles with an exit code when the carrier ends the runner: it was told to stop, or is not wanted. */
  readonly done: Promise<number>;
  /** The exit code where it was told another one since; null: as it was. */
  exitCode(): number | null;
  /** Told when the runner begins to drain. Settles once no transaction is open here whose steps may still come. */
  announceStop(): Promise<void>;
}
