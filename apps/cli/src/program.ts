import { Command } from "commander";
import { addArtifactCommands } from "./artifact-commands.js";
import { addAuditCommands } from "./audit-commands.js";
import { addBatchCommands } from "./batch-commands.js";
import type { CommonFlags, Context } from "./context.js";
import type { ExitCode } from "./exit-codes.js";
import type { Act } from "./flags.js";
import { addKeyCommands } from "./key-commands.js";
import { addProjectCommands } from "./project-commands.js";
import { addRunCommand, addRunsCommands } from "./run-commands.js";
import { addRunnerCommands } from "./runner-commands.js";
import { addScheduleCommands } from "./schedule-commands.js";
import { addSecretCommands } from "./secret-commands.js";
import { addServices } from "./service-commands.js";
import { ownVersion } from "./version.js";
import { addVersionCommands } from "./version-commands.js";
import { addWorkflowCommands } from "./workflow-commands.js";

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
