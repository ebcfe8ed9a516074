import { describe, expect, it } from "@jest/globals";
import { type Db, insertSchedule, type ScheduleValues } from "@maia/db";
import { HOUR, MINUTE, newId, SECOND } from "@maia/domain";
import { World } from "./support/world.js";

const START = new Date("2026-11-21T12:00:00.000Z");
const after = (ms: number) => new Date(START.getTime() + ms);

/** Schedules on a world, and the clock that its engines read. */
class Calendar {
  now = START;

  private constructor(
    readonly world: World,
    private readonly workflowId: string,
    private readonly projectId: string,
  ) {}

  static async open(world: World): Promise<Calendar> {
    await world.workflow("planned", [{ key: "a", script: "ok" }]);
    const row = await world.db.models.workflow.findFirstOrThrow({ where: { slug: "planned" } });
    return new Calendar(world, row.id, row.projectId);
  }

  engine(db?: Db) {
    return this.world.engine({ clock: () => this.now, ...(db ? { db } : {}) });
  }

  async schedule(more: Partial<ScheduleValues> = {}): Promise<string> {
    const id = newId("schedule", START);
    const { projectId, workflowId } = this;
    const rules = { kind: "interval", cron: null, intervalMs: MINUTE, timezone: "UTC", anchorAt: START } as const;
    const policies = { misfire: "fire_once", catchUpLimit: 100, overlap: "allow", enabled: true } as const;
    const job = { name: null, version: 1, environmentId: null, runnerId: null, priority: 0 };
    const json = { labels: "{}", params: "{}", urlFiles: "[]" };
    const values = { ...rules, ...policies, ...job, ...json, nextRunAt: after(MINUTE), ...more };
    const row = { ...values, id, projectId, workflowId, createdBy: "key_maker" };
    await this.world.db.write((tx) => insertSchedule(tx, row, START));
    return id;
  }

  /** Sets the clock and rings. */
  async at(ms: number): Promise<void> {
    this.now = after(ms);
    await this.world.db.write((tx) => tx.ring("engine"));
  }

  /** What became of the schedule's instants, once there are so many. */
  async ticks(scheduleId: string, count: number): Promise<string[]> {
    for (;;) {
      const rows = await this.world.db.models.scheduleTick.findMany({
        where: { scheduleId },
        orderBy: { dueAt: "asc" },
      });
      const texts = rows.map(({ dueAt, outcome }) => `${(dueAt.getTime() - START.getTime()) / MINUTE} ${outcome}`);
      if (texts.length >= count) return texts;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  jobs(scheduleId: string) {
    return this.world.db.models.jobRun.findMany({ where: { scheduleId }, orderBy: { scheduledFor: "asc" } });
  }
}

describe("an engine with schedules", () => {
  it("makes a job when an instant comes, and carries it through", async () => {
    await using world = await World.open();
    const calendar = await Calendar.open(world);
    const id = await calendar.schedule();
    await calendar.engine();
    await calendar.at(MINUTE - 1);
    await calendar.at(MINUTE);
    expect(await calendar.ticks(id, 1)).toEqual(["1 fired"]);
    const [job] = await calendar.jobs(id);
    expect(job).toMatchObject({ trigger: "schedule", scheduledFor: after(MINUTE), requestedBy: "key_maker" });
    expect((await world.until(job!.id, "SUCCEEDED")).steps).toEqual(["a:SUCCEEDED(SUCCEEDED)"]);
  });

  it("wakes by itself when an instant comes", async () => {
    await using world = await World.open();
    const calendar = await Calendar.open(world);
    const now = new Date();
    const soon = {
      intervalMs: SECOND,
      anchorAt: now,
      nextRunAt: new Date(now.getTime() + SECOND),
      overlap: "allow",
    } as const;
    const id = await calendar.schedule(soon);
    await world.engine();
    expect(await calendar.ticks(id, 2)).toEqual([expect.stringContaining("fired"), expect.stringContaining("fired")]);
  });

  it("shares a hundred instants of five schedules with another one, each of which makes one job (G27, G28)", async () => {
    await using world = await World.open();
    await using south = await World.database(world.folder);
    const calendar = await Calendar.open(world);
    const ids = await Promise.all(Array.from({ length: 5 }, () => calendar.schedule()));
    await calendar.engine();
    await calendar.engine(south);
    for (let minute = 1; minute <= 20; minute++) {
      calendar.now = after(minute * MINUTE);
      await Promise.all([world.db, south].map((db) => db.write((tx) => tx.ring("engine"))));
      for (const id of ids) await calendar.ticks(id, minute);
    }
    for (const id of ids) {
      expect(await calendar.ticks(id, 20)).toEqual(Array.from({ length: 20 }, (_, index) => `${index + 1} fired`));
      expect((await calendar.jobs(id)).map(({ scheduledFor }) => scheduledFor)).toEqual(
        Array.from({ length: 20 }, (_, index) => after((index + 1) * MINUTE)),
      );
    }
  });

  it("fires no instant again when the clock goes back, and accounts for all when it leaps ahead (F66, G27)", async () => {
    await using world = await World.open();
    const calendar = await Calendar.open(world);
    const id = await calendar.schedule();
    await calendar.engine();
    await calendar.at(MINUTE);
    await calendar.ticks(id, 1);
    await calendar.at(MINUTE - HOUR);
    await calendar.at(MINUTE);
    await calendar.at(5 * MINUTE);
    expect(await calendar.ticks(id, 5)).toEqual(["1 fired", "2 missed", "3 missed", "4 missed", "5 fired"]);
    await calendar.at(2 * MINUTE);
    await calendar.at(6 * MINUTE);
    expect((await calendar.ticks(id, 6)).slice(5)).toEqual(["6 fired"]);
    expect(await calendar.jobs(id)).toHaveLength(3);
  });

  it("catches up after its absence as the schedule says", async () => {
    await using world = await World.open();
    const calendar = await Calendar.open(world);
    calendar.now = after(HOUR + 2 * MINUTE);
    const hourly = { intervalMs: HOUR / 4, nextRunAt: after(HOUR / 4) };
    const [skip, once, all] = await Promise.all([
      calendar.schedule({ ...hourly, misfire: "skip" }),
      calendar.schedule({ ...hourly, misfire: "fire_once" }),
      calendar.schedule({ ...hourly, misfire: "catch_up", catchUpLimit: 2 }),
    ]);
    await calendar.engine();
    expect(await calendar.ticks(skip, 4)).toEqual(["15 missed", "30 missed", "45 missed", "60 missed"]);
    expect(await calendar.ticks(once, 4)).toEqual(["15 missed", "30 missed", "45 missed", "60 fired"]);
    expect(await calendar.ticks(all, 4)).toEqual(["15 missed", "30 missed", "45 fired", "60 fired"]);
  });

  it("disables a schedule that makes no sense, says why, and serves the others (G12)", async () => {
    await using world = await World.open();
    const calendar = await Calendar.open(world);
    const broken = await calendar.schedule({ kind: "cron", cron: "no pattern", intervalMs: null });
    const refused = await calendar.schedule({ params: '{"files":[]}' });
    const torn = await calendar.schedule({ params: "{" });
    const pinned = await calendar.schedule({ version: 7 });
    const good = await calendar.schedule();
    await calendar.engine();
    await calendar.at(MINUTE);
    for (const id of [broken, refused, torn, pinned]) expect(await calendar.ticks(id, 1)).toEqual(["1 failed"]);
    expect(await calendar.ticks(good, 1)).toEqual(["1 fired"]);
    const rows = await world.db.models.schedule.findMany({ orderBy: { id: "asc" } });
    const enabled = new Map(rows.map((row) => [row.id, row.enabled]));
    expect([broken, refused, torn, pinned, good].map((id) => enabled.get(id))).toEqual([false, true, true, true, true]);
    const codes = await world.db.models.scheduleTick.findMany({ where: { outcome: "failed" } });
    expect(codes.map(({ failure }) => JSON.parse(failure!).code).sort()).toEqual([
      "INTERNAL",
      "INTERNAL",
      "NOT_FOUND",
      "RESERVED_KEY",
    ]);
  });
});
