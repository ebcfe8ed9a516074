import { Command, Option } from "commander";
import { addAuditCommands } from "./audit-commands.js";
import { addBatchCommands } from "./batch-commands.js";
import type { GetFlags } from "./commands/artifacts.js";
import type { RerunFlags } from "./commands/rerun.js";
import type { RunFlags } from "./commands/run.js";
import type { ListFlags, LogsFlags } from "./commands/runs.js";
import type { ApplyFlags } from "./commands/workflows.js";
import type { CommonFlags, Context } from "./context.js";
import type { ExitCode } from "./exit-codes.js";
import { type Act, collect, limit, order, project, staying, withParams } from "./flags.js";
import { addKeyCommands } from "./key-commands.js";
import { addProjectCommands } from "./project-commands.js";
import { addRunnerCommands } from "./runner-commands.js";
import { addScheduleCommands } from "./schedule-commands.js";
import { addSecretCommands } from "./secret-commands.js";
import { ownVersion } from "./version.js";
import { addVersionCommands } from "./version-commands.js";

const EXAMPLES = `
Examples:
  maia up                                          start Maia here
  maia apply -f workflow.yaml                      add or change a workflow
  maia run csv-report --file data.csv --follow     run it and watch
  maia artifacts get RUN --to out                  fetch what it made
  maia runs rerun RUN --from STEP                  do it again from a step on

Address and key come from --url and --api-key, else MAIA_URL and MAIA_API_KEY, else from the data directory
(MAIA_DATA_DIR or .maia) of a Maia on this machine. Exit codes: maia help exit-codes`;

const EXIT_CODES = `0    ok
1    unexpected failure
2    the command was written wrong
3    not found
4    not logged in, or not allowed
5    conflict: the thing has changed, or its state does not allow it
6    the input is invalid
7    Maia cannot be reached; try again
8    too many requests
10   the run FAILED
11   the run was CANCELED
12   waited for too long; the run goes on
130  interrupted`;

/** The commands. Each loads what it needs when it is called, so that `maia --version` loads next to nothing. */
export function buildProgram(context: Context, done: (exitCode: ExitCode) => void): Command {
  const program = new Command("maia")
    .description("Runs workflows, here or on a fleet of runners.")
    .version(`maia ${ownVersion()}`, "-V, --version")
    .option("--url <address>", "where Maia is (MAIA_URL)")
    .option("--api-key <key>", "who you are (MAIA_API_KEY)")
    .option("--json", "print one JSON document instead of text")
    .addHelpText("after", EXAMPLES)
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride();
  const act: Act = (command, run) => {
    for (const { flags, description } of program.options.filter(({ long }) => long !== "--version"))
      command.option(flags, description);
    command.action(async () => done(await run(command.optsWithGlobals() as never, ...command.args)));
  };
  addServices(program, context);
  addWorkflowCommands(program, context, act);
  addVersionCommands(program, context, act);
  addRunCommand(program, context, act);
  addRunsCommands(program, context, act);
  addArtifactCommands(program, context, act);
  addScheduleCommands(program, context, act);
  addBatchCommands(program, context, act);
  addAuditCommands(program, context, act);
  addProjectCommands(program, context, act);
  addSecretCommands(program, context, act);
  addKeyCommands(program, context, act);
  addRunnerCommands(program, context, act);
  addStatusCommands(program, context, act);
  addHelp(program, context);
  return program;
}

function addServices(program: Command, context: Context): void {
  const load = () => import("./commands/services.js");
  program
    .command("up")
    .description("start Maia here: API, engine and local execution in one process")
    .option("--data <folder>", "data directory (MAIA_DATA_DIR, else .maia)")
    .option("--port <number>", "port of the API (MAIA_API_PORT, else 3690; 0 for any)")
    .option("--host <address>", "address to listen on (MAIA_API_HOST, else 127.0.0.1)")
    .action(async (flags) => (await load()).up(context, flags));
  for (const name of ["api", "engine", "runner"] as const) {
    const command = program
      .command(name)
      .description(`start the ${name} as a process of its own, configured by the environment`)
      .action(async () => (await load()).service(name));
    if (name === "runner") command.addHelpText("after", RUNNER_HELP);
  }
}

const RUNNER_HELP = `
A runner that dials out, and listens on nothing:
  MAIA_GATEWAY_URL                      address of the API, https:// outside loopback
  MAIA_CLIENT_ID, MAIA_CLIENT_SECRET    the runner's credentials
  MAIA_RUNNER_DATA_DIR                  its own folder; the same one after a restart
  MAIA_RUNNER_SLOTS                     steps at once; default 4 per core
  PROXY_HTTPS, PROXY_EXCLUDES           a proxy as host:port, and hosts that need none, divided by |
  CUSTOM_CERT_LOCATION                  file with certificates of a private authority
  Exit codes: 0 stopped, 2 a wrong setting, 75 to be started again, 77 credentials refused, 78 superseded.

A runner that listens for one engine:
  RUNNER_TOKEN                          at least 32 characters, the same for the engine
  MAIA_RUNNER_HOST, MAIA_RUNNER_PORT    where it listens; default 127.0.0.1 and 9090

More: docs/guides/runners.md`;

function addWorkflowCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/workflows.js");
  const apply = program
    .command("apply")
    .description("create or replace workflows from YAML, and publish what changed")
    .requiredOption(
      "-f, --file <path>",
      "a file, a folder with workflow.yaml in it or in its subfolders, or - for stdin; may be given again",
      collect,
    )
    .option("--draft", "save without publishing")
    .option("-m, --message <text>", "what has changed, for the history of versions")
    .addOption(project());
  act(apply, async (flags: ApplyFlags) => (await load()).apply(context, flags));

  const workflows = program.command("workflows").description("list and show workflows");
  const list = workflows
    .command("list")
    .description("the workflows of a project, with their last run and how the last twenty ended")
    .option("--query <text>", "only those with this in their name or description")
    .addOption(new Option("--sort <what>", "created unless given").choices(["created", "updated", "name"]))
    .addOption(order())
    .addOption(project())
    .addOption(limit());
  act(list, async (flags: ListFlags) => (await load()).listWorkflows(context, flags));
  const show = workflows.command("show <workflow>").description("a workflow and its steps").addOption(project());
  act(show, async (flags: CommonFlags & { project?: string }, slug: string) =>
    (await load()).showWorkflow(context, slug, flags),
  );
}

function addRunCommand(program: Command, context: Context, act: Act): void {
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

function addRunsCommands(program: Command, context: Context, act: Act): void {
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

function addArtifactCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/artifacts.js");
  const artifacts = program.command("artifacts").description("list and fetch the files that runs made");
  const list = artifacts
    .command("list <run>")
    .description("the artifacts of a run")
    .option("--all", "also the system's own, and those of earlier attempts");
  act(list, async (flags: CommonFlags & { all?: boolean }, id: string) => (await load()).list(context, id, flags));
  const get = artifacts
    .command("get <run> [names...]")
    .description("fetch all artifacts of a run, or those named; an artifact's id works too")
    .option("--to <folder>", "where to put them; - writes one to stdout", ".")
    .option("--step <key>", "only of this step");
  act(get, async (flags: GetFlags, id: string, ...names: string[]) => (await load()).get(context, id, names, flags));
}

function addStatusCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/status.js");
  const status = program.command("status").description("whether Maia can be reached, and as whom");
  act(status, async (flags: CommonFlags) => (await load()).status(context, flags));
  const version = program.command("version").description("the version of this command");
  act(version, async (flags: CommonFlags) => (await load()).version(context, flags));
}

function addHelp(program: Command, { terminal }: Context): void {
  program
    .command("help [command...]")
    .description("help for a command, or for exit-codes")
    .action((path: string[]) => {
      if (path[0] === "exit-codes") return terminal.print(EXIT_CODES);
      const find = (parent: Command | undefined, name: string) =>
        parent?.commands.find((child) => child.name() === name);
      const found = path.reduce<Command | undefined>(find, program) ?? program;
      found.outputHelp();
    });
}
