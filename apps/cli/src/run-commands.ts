import { type Command, Option } from "commander";
import type { RerunFlags } from "./commands/rerun.js";
import type { RunFlags } from "./commands/run.js";
import type { ListFlags, LogsFlags } from "./commands/runs.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, collect, limit, order, project, staying, withParams } from "./flags.js";

/** `maia run`. */
export function addRunCommand(program: Command, context: Context, act: Act): void {
  const run = staying(
    withParams(
      program
        .command("run <workflow>")
        .description("run a workflow, or a definition from a file once, without publishing it"),
    ),
  )
    .option("--file <[name=]path>", "an input file", collect)
    .option("--url-file <[name=]url>", "an input file that Maia fetches", collect)
    .option("--version <number>", "version of the workflow; the newest unless given")
    .option("--label <name=value>", "a label for the run", collect)
    .option("--environment <environment>", "environment, by name or id")
    .option("--runner <runner>", "runner, by name or id")
    .option("--priority <number>", "higher goes first")
    .addOption(project());
  act(run, async (flags: RunFlags, workflow: string) =>
    (await import("./commands/run.js")).run(context, workflow, flags),
  );
}

/** `maia runs …`. */
export function addRunsCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/runs.js");
  const runs = program
    .command("runs")
    .description("list, show, watch, cancel, delete and re-run runs, and read their logs");
  const list = runs
    .command("list")
    .description("the newest runs")
    .option("--workflow <workflow>", "only of this workflow")
    .option("--query <text>", "only of workflows with this in their name")
    .option("--status <status>", "only with this status")
    .option("--since <time>", "only from then on: a length of time such as 90s or 2h ago, or a moment in RFC 3339")
    .option("--until <time>", "only before then")
    .addOption(order())
    .addOption(project())
    .addOption(limit());
  act(list, async (flags: ListFlags) => (await load()).listRuns(context, flags));

  const show = runs.command("show <id>").description("steps, outputs and artifacts of a run or job");
  act(show, async (flags: CommonFlags, id: string) => (await load()).showRun(context, id, flags));
  const watch = runs.command("watch <id>").description("follow a run or job to its end");
  act(watch, async (flags: CommonFlags, id: string) => (await load()).watchRun(context, id, flags));
  const cancel = runs
    .command("cancel <id>")
    .description("cancel a run or job")
    .option("--reason <text>", "why; shown with the run");
  act(cancel, async (flags: CommonFlags & { reason?: string }, id: string) =>
    (await load()).cancelRun(context, id, flags),
  );

  const remove = runs
    .command("delete <ids...>")
    .description("delete runs or jobs that have ended, with their logs and artifacts");
  act(remove, async (flags: CommonFlags, ...ids: string[]) => (await load()).deleteRuns(context, ids, flags));

  const rerun = staying(withParams(runs.command("rerun <id>")))
    .description("do a run that has ended again: whole, from a step on, or one attempt")
    .option("--from <step>", "begin with this step, and reuse the results of other finished ones")
    .option("--attempt <step[:number]>", "only this attempt (the last unless numbered), with the input that it had");
  act(rerun, async (flags: RerunFlags, id: string) => (await import("./commands/rerun.js")).rerun(context, id, flags));

  const logs = runs
    .command("logs <id>")
    .description("what the steps of a run wrote")
    .option("-f, --follow", "go on until the run ends")
    .option("--step <key>", "only of this step, without its name before each line")
    .option("--attempt <number>", "only of this attempt")
    .addOption(new Option("--stream <name>", "only of this stream").choices(["stdout", "stderr", "system"]))
    .option("--query <text>", "only lines that contain this");
  act(logs, async (flags: LogsFlags, id: string) => (await load()).showLogs(context, id, flags));
}
