import { type Command, Option } from "commander";
import type { ListFlags } from "./commands/runs.js";
import type { CreateFlags, TickFlags, UpcomingFlags } from "./commands/schedules.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, collect, limit, project } from "./flags.js";

/** `maia schedules …`. */
export function addScheduleCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/schedules.js");
  const schedules = program.command("schedules").description("make jobs at certain times");
  const list = schedules
    .command("list")
    .description("the schedules")
    .option("--workflow <workflow>", "only of this workflow")
    .addOption(project())
    .addOption(limit());
  act(list, async (flags: ListFlags) => (await load()).listSchedules(context, flags));

  const create = schedules
    .command("create <workflow>")
    .description("run a workflow at certain times")
    .option("--cron <pattern>", "five fields: minute, hour, day of the month, month, day of the week")
    .option("--every <time>", "an interval such as 90s, 15m or 24h, counted from now")
    .option("--timezone <zone>", "whose clock the pattern means, such as Europe/Berlin; this machine's unless given")
    .option("--name <name>", "what people call it")
    .addOption(
      new Option("--misfire <policy>", "when nobody was there in time").choices(["skip", "fire_once", "catch_up"]),
    )
    .option("--catch-up-limit <number>", "most jobs that catch_up makes at once")
    .addOption(new Option("--overlap <policy>", "while an earlier job has not ended").choices(["skip", "allow"]))
    .option("--disabled", "make it, but do not let it begin")
    .option("-p, --param <name=value>", "a param, as in maia run", collect)
    .option("--params <file>", "params from a JSON file, or - for stdin; --param wins")
    .option("--url-file <[name=]url>", "an input file that Maia fetches for each job", collect)
    .option("--version <number>", "always this version of the workflow; the newest unless given")
    .option("--label <name=value>", "a label for the jobs", collect)
    .option("--environment <environment>", "environment, by name or id")
    .option("--runner <runner>", "runner, by name or id")
    .option("--priority <number>", "higher goes first")
    .option("--idempotency-key <key>", "the same key never makes a second schedule")
    .addOption(project());
  act(create, async (flags: CreateFlags, workflow: string) => (await load()).create(context, workflow, flags));

  const show = schedules.command("show <id>").description("a schedule and its next instants");
  act(show, async (flags: CommonFlags, id: string) => (await load()).show(context, id, flags));
  for (const [name, enabled] of [
    ["enable", true],
    ["disable", false],
  ] as const) {
    const set = schedules.command(`${name} <id>`).description(`${name} a schedule`);
    act(set, async (flags: CommonFlags, id: string) => (await load()).setEnabled(context, id, enabled, flags));
  }
  const trigger = schedules.command("trigger <id>").description("make its job now, enabled or not");
  act(trigger, async (flags: CommonFlags, id: string) => (await load()).trigger(context, id, flags));
  const upcoming = schedules
    .command("upcoming <id>")
    .description("its next instants")
    .option("--count <number>", "how many", "10");
  act(upcoming, async (flags: UpcomingFlags, id: string) => (await load()).upcoming(context, id, flags));
  const ticks = schedules
    .command("ticks <id>")
    .description("what became of each instant, the newest first")
    .addOption(new Option("--outcome <outcome>", "only these").choices(["fired", "skipped", "missed", "failed"]))
    .addOption(limit());
  act(ticks, async (flags: TickFlags, id: string) => (await load()).ticks(context, id, flags));
  const remove = schedules.command("delete <id>").description("delete a schedule; its jobs stay");
  act(remove, async (flags: CommonFlags, id: string) => (await load()).remove(context, id, flags));
}
