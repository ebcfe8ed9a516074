import { type DueCursor, dueSchedules, nextDueAt, type ScheduleRow } from "@maia/db";
import { type Clock, MINUTE, planTicks, type TickPlan } from "@maia/domain";
import { accountFor, type IntakeContext, setAside } from "@maia/intake";
import type { Logger } from "@maia/service";

export interface SchedulesDeps {
  readonly intake: IntakeContext;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asks for another look in so many milliseconds. */
  readonly wakeAt: (ms: number) => void;
}

/** Longest wait for a look at the clock: one that is set forward must not make an instant wait for the old time. */
const LOOK_MS = MINUTE / 4;
/** How long to wait after a schedule could not be served. */
const RETRY_MS = 1_000;
const PAGE = 50;

/**
 * Accounts for what schedules have come due. It works beside the engine's ticks, since a check of params may take its
 * time; any number of engines may do so at once.
 */
export class Schedules {
  #looking: Promise<void> | null = null;
  #wanted = false;
  #stopped = false;

  constructor(private readonly deps: SchedulesDeps) {}

  /** Looks soon; asking again meanwhile makes it look once more. */
  look(): void {
    this.#wanted = true;
    this.#looking ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      try {
        await this.#round();
      } catch (error) {
        this.deps.logger.error("schedules could not be looked at", { error });
        this.deps.wakeAt(RETRY_MS);
      }
    }
    this.#looking = null;
  }

  /** Serves each schedule that is due once, or says when to look again. */
  async #round(): Promise<void> {
    const { intake, clock, wakeAt } = this.deps;
    const next = await nextDueAt(intake.db.sql);
    if (next === null) return;
    const waitMs = next.getTime() - clock().getTime();
    if (waitMs > 0) wakeAt(Math.min(waitMs, LOOK_MS));
    else if (await this.#serveAll()) this.#wanted = true;
    else wakeAt(RETRY_MS);
  }

  /** False: some of them have to be tried again. */
  async #serveAll(): Promise<boolean> {
    const { intake, clock } = this.deps;
    let allServed = true;
    for (let after: DueCursor | null = null; ; ) {
      const due: ScheduleRow[] = await dueSchedules(intake.db.sql, clock(), after, PAGE);
      const served = await Promise.all(due.map((schedule) => this.#serve(schedule))); // they share a commit
      if (!served.every(Boolean)) allServed = false;
      after = due.at(-1) ?? null;
      if (due.length < PAGE || this.#stopped) return allServed;
    }
  }

  /** One schedule that cannot be served holds up no other. False: it has to be tried again. */
  async #serve(schedule: ScheduleRow): Promise<boolean> {
    const { intake, clock, logger } = this.deps;
    const scheduleId = schedule.id;
    const now = clock();
    try {
      const plan = planned(schedule, now);
      if ("fault" in plan) return await this.#setAside(schedule, plan.fault);
      const { jobIds, refusal } = await accountFor(intake, schedule, plan, now);
      if (jobIds.length > 0) logger.info("a schedule made jobs", { scheduleId, jobIds });
      if (refusal) logger.warn("a schedule could not make its job", { scheduleId, ...refusal });
      return true;
    } catch (error) {
      logger.error("a schedule could not be served; it will be tried again", { scheduleId, error });
      return false;
    }
  }

  async #setAside(schedule: ScheduleRow, error: unknown): Promise<boolean> {
    const { intake, clock, logger } = this.deps;
    logger.error("a schedule makes no sense; it is disabled", { scheduleId: schedule.id, error });
    return setAside(intake, schedule, "Maia could not read the schedule, and disabled it", clock());
  }
}

function planned(schedule: ScheduleRow, now: Date): TickPlan | { fault: unknown } {
  try {
    return planTicks(schedule, now);
  } catch (fault) {
    return { fault };
  }
}
