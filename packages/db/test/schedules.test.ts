import { describe, expect, it } from "@jest/globals";
import { newId } from "@maia/domain";
import {
  advanceSchedule,
  disableSchedule,
  dueSchedules,
  insertSchedule,
  insertTick,
  isAccounted,
  nextDueAt,
  type ScheduleRow,
  updateSchedule,
} from "../src/schedules.js";
import type { Db } from "../src/types.js";
import { aRun } from "./support/a-run.js";
import { aPlace, NOW } from "./support/place.js";

const MINUTE = 60_000;
const after = (minutes: number) => new Date(NOW.getTime() + minutes * MINUTE);

async function aSchedule(db: Db, dueAt: Date | null): Promise<string> {
  const workflow = await db.models.workflow.findFirstOrThrow();
  const id = newId("schedule", NOW);
  const job = { name: null, version: null, environmentId: null, runnerId: null, priority: 0 };
  const json = { labels: "{}", params: "{}", urlFiles: "[]" };
  const rules = { kind: "interval", cron: null, intervalMs: MINUTE, timezone: "UTC", anchorAt: NOW } as const;
  const policies = { misfire: "fire_once", catchUpLimit: 1, overlap: "skip", enabled: dueAt !== null } as const;
  const owner = { projectId: workflow.projectId, workflowId: workflow.id, createdBy: "key_a" };
  const row = { id, ...owner, ...job, ...json, ...rules, ...policies, nextRunAt: dueAt };
  await db.write((tx) => insertSchedule(tx, row, NOW));
  return id;
}

const tickOf = ({ id: scheduleId, nextRunAt }: ScheduleRow) => {
  const dueAt = nextRunAt!;
  return { scheduleId, dueAt, lastDueAt: dueAt, count: 1, outcome: "missed" } as const;
};

describe("schedules in the database", () => {
  it("are moved past an instant by exactly one of two connections that race for it (G27, G28)", async () => {
    await using place = await aPlace();
    await using north = await place.open();
    await using south = await place.open();
    await aRun(north, "run_a");
    const id = await aSchedule(north, after(1));
    const wins = [0, 0];
    for (let minute = 1; minute <= 50; minute++) {
      const moves = [north, south].map(async (db, index) => {
        const [seen] = await dueSchedules(db.sql, after(minute), null, 10);
        if (!seen) return; // the other one was faster before this one looked
        const isMine = await db.write(async (tx) => {
          if (!(await advanceSchedule(tx, seen, after(minute + 1)))) return false;
          await insertTick(tx, tickOf(seen), NOW);
          return true;
        });
        if (isMine) wins[index]!++;
      });
      await Promise.all(moves);
    }
    expect(wins[0]! + wins[1]!).toBe(50);
    const ticks = await north.models.scheduleTick.findMany({ where: { scheduleId: id }, orderBy: { dueAt: "asc" } });
    expect(ticks.map(({ dueAt }) => dueAt)).toEqual(Array.from({ length: 50 }, (_, index) => after(index + 1)));
  });

  it("are found due in the order in which they wait, page by page, and only while they are enabled", async () => {
    await using place = await aPlace();
    await using db = await place.open();
    await aRun(db, "run_a");
    const ids: string[] = [];
    for (const minute of [3, 1, 1, 2]) ids.push(await aSchedule(db, after(minute)));
    await aSchedule(db, null);
    const first = await dueSchedules(db.sql, after(3), null, 3);
    const rest = await dueSchedules(db.sql, after(3), first.at(-1)!, 3);
    expect([...first, ...rest].map(({ id }) => id)).toEqual([ids[1], ids[2], ids[3], ids[0]]);
    expect((await dueSchedules(db.sql, after(1), null, 10)).map(({ id }) => id)).toEqual([ids[1], ids[2]]);
    expect(await nextDueAt(db.sql)).toEqual(after(1));
    for (const schedule of first) expect(await db.write((tx) => disableSchedule(tx, schedule, NOW))).toBe(true);
    expect(await nextDueAt(db.sql)).toEqual(after(3));
  });

  it("change only from where somebody saw them", async () => {
    await using place = await aPlace();
    await using db = await place.open();
    await aRun(db, "run_a");
    await aSchedule(db, after(1));
    const [seen] = await dueSchedules(db.sql, after(1), null, 1);
    const {
      id: _id,
      projectId: _project,
      workflowId: _workflow,
      revision: _revision,
      createdBy: _by,
      ...values
    } = seen!;
    expect(await db.write((tx) => updateSchedule(tx, seen!, { ...values, name: "n" }, NOW))).toBe(true);
    expect(await db.write((tx) => updateSchedule(tx, seen!, values, NOW))).toBe(false);
    expect(await db.write((tx) => advanceSchedule(tx, seen!, after(2)))).toBe(false);
    expect(await db.write((tx) => disableSchedule(tx, seen!, NOW))).toBe(false);
    await db.write((tx) => insertTick(tx, tickOf(seen!), NOW));
    await db.write((tx) => insertTick(tx, { ...tickOf(seen!), outcome: "skipped" }, NOW));
    expect(await isAccounted(db.sql, seen!.id, after(1))).toBe(true);
    expect(await isAccounted(db.sql, seen!.id, after(2))).toBe(false);
    expect((await db.models.scheduleTick.findMany()).map(({ outcome }) => outcome)).toEqual(["missed"]);
  });
});
