import { each, type Row } from "./row.js";

export const scheduleRows: readonly Row[] = [
  {
    id: "B065",
    what: "patterns that are none, never fire, are endless or from the end of time, and zones of other planets",
    status: [422],
    send: async ({ api, workflow }) => {
      const cron = (pattern: string, more: object = {}) => ({ kind: "cron", cron: pattern, ...more });
      const odd = [
        cron("* * * * * *"),
        cron("@every 1ns"),
        cron("0 0 31 2 *"),
        cron("0".repeat(10_240)),
        cron("*,".repeat(5_000)),
        cron(`${"*/1-".repeat(60)}1 * * * *`),
        cron("0 0 1 1 * 275760"),
        cron("* * * * *", { timezone: "Mars/X" }),
        cron("* * * * *", { timezone: "../../etc/localtime" }),
        { kind: "interval", intervalMs: 0 },
        { kind: "interval", intervalMs: 8.64e15 },
        { kind: "interval", intervalMs: "1000" },
        { kind: "once" },
        { cron: "* * * * *" },
      ];
      const answers = await each(odd, (body) => api.post("/v1/schedules", { workflow, ...body }));
      const never = answers[2]!;
      if (!never.text.includes("never fires")) throw new Error(`31 February was answered ${never.text}`);
      const pointers = answers.map(({ text }) => JSON.parse(text).errors?.[0]?.pointer);
      const wanted = [
        ...Array(7).fill("/cron"),
        "/timezone",
        "/timezone",
        ...Array(3).fill("/intervalMs"),
        "/kind",
        "/kind",
      ];
      if (JSON.stringify(pointers) !== JSON.stringify(wanted)) throw new Error(`the pointers are ${pointers}`);
      return answers;
    },
  },
];
