import type { Command } from "commander";
import type { BatchFlags, RetryFlags, SetFlags } from "./commands/batches.js";
import type { ListFlags } from "./commands/runs.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, collect, limit, project } from "./flags.js";

/** `maia batches …` */
export function addBatchCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/batches.js");
  const batches = program
    .command("batches")
    .alias("batch")
    .description("run a workflow once per row of a table, and see to such batches");
  const run = batches
    .command("run <workflow>")
    .description("run a workflow once per row of a CSV or JSON Lines file")
    .requiredOption("--items <path>", "the rows: a CSV whose header names the params, or JSON Lines")
    .option("--concurrency <number>", "how many rows at once; 10 unless given")
    .option("--max-failures <number>", "stop after so many failed rows")
    .option("--dry-run", "check every row and start nothing")
    .option("-f, --follow", "show the progress until the end")
    .option("--timeout <time>", "how long to follow, such as 90s or 10m; the batch goes on")
    .option("--version <number>", "version of the workflow; the newest unless given")
    .option("--label <name=value>", "a label for each of the runs", collect)
    .option("--environment <environment>", "environment, by name or id")
    .option("--runner <runner>", "runner, by name or id")
    .option("--priority <number>", "higher goes first")
    .option("--idempotency-key <key>", "the same key never makes a second batch")
    .addOption(project());
  act(run, async (flags: BatchFlags, workflow: string) => (await load()).runBatch(context, workflow, flags));

  const list = batches
    .command("list")
    .description("the newest batches")
    .option("--workflow <workflow>", "only of this workflow")
    .option("--status <status>", "only with this status")
    .addOption(project())
    .addOption(limit());
  act(list, async (flags: ListFlags) => (await load()).listBatches(context, flags));
  const show = batches.command("show <id>").description("how the rows of a batch stand");
  act(show, async (flags: CommonFlags, id: string) => (await load()).showBatch(context, id, flags));
  const watch = batches.command("watch <id>").description("follow a batch to its end");
  act(watch, async (flags: CommonFlags, id: string) => (await load()).watchBatch(context, id, flags));
  const results = batches
    .command("results <id>")
    .description("the rows in the order of the input, with how each went, as CSV")
    .option("--to <file>", "where to put them; - is stdout", "-")
    .option("--keep-formulas", "leave cells alone that a spreadsheet would carry out as a formula");
  act(results, async (flags: CommonFlags & { to: string; keepFormulas?: boolean }, id: string) =>
    (await load()).batchResults(context, id, flags),
  );
  const moves = {
    pause: "start no further row; those that run go on",
    resume: "go on with a batch that is paused",
    cancel: "stop a batch and what runs of it",
  } as const;
  for (const move of ["pause", "resume", "cancel"] as const) {
    const command = batches.command(`${move} <id>`).description(moves[move]);
    act(command, async (flags: CommonFlags, id: string) => (await load()).moveBatch(context, move, id, flags));
  }
  const set = batches
    .command("set <id>")
    .description("change how a batch goes on")
    .option("--concurrency <number>", "how many rows at once")
    .option("--max-failures <number>", "stop after so many failed rows; none for however many");
  act(set, async (flags: SetFlags, id: string) => (await load()).setBatch(context, id, flags));
  const retry = batches
    .command("retry <id>")
    .description("run the rows again that failed, as a batch of their own")
    .option("--unsuccessful", "also those that were canceled or never started")
    .option("--version <number>", "version of the workflow; the one that the batch had unless given")
    .option("-f, --follow", "show the progress until the end")
    .option("--idempotency-key <key>", "the same key never makes a second batch");
  act(retry, async (flags: RetryFlags, id: string) => (await load()).retryBatch(context, id, flags));
}
