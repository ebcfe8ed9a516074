import { CommanderError } from "commander";
import { CliError } from "./errors.js";
import { type ExitCode, exitCodes } from "./exit-codes.js";
import { processTerminal } from "./output/terminal.js";
import { buildProgram } from "./program.js";

const { env, argv, stdout, stderr } = process;
const wantsJson = argv.includes("--json");

stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok); // whoever read us has enough, as `head` does
  throw error;
});

try {
  const context = { env, terminal: processTerminal(env), clock: () => new Date() };
  const program = buildProgram(context, (exitCode) => {
    process.exitCode = exitCode;
  });
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.configureOutput({ outputError: (text, write) => (wantsJson ? undefined : write(text)) });
  }
  await program.parseAsync(argv);
} catch (error) {
  process.exitCode = fail(error);
}

/** Says what went wrong: one clear line, what is wrong where, how to mend it. With `--json` a problem document. */
function fail(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.ok; // help and version end like this
    if (wantsJson) writeProblem({ title: error.message, status: null, code: "USAGE", detail: error.message });
    return exitCodes.usage;
  }
  if (!(error instanceof CliError)) {
    const isSetting = error instanceof Error && error.name === "ConfigError";
    const text = error instanceof Error ? (env.MAIA_DEBUG ? error.stack : error.message) : String(error);
    stderr.write(`maia: ${text}\n`);
    return isSetting ? exitCodes.usage : exitCodes.unexpected;
  }
  if (wantsJson) {
    writeProblem(error.problem);
    return error.exitCode;
  }
  const faults = (error.problem.errors ?? []).map(({ pointer, message, row }) => {
    const place = row === undefined ? pointer : `row ${row} ${pointer.replace(/^\/items(File|\/\d+)/, "")}`.trim();
    return place === "" ? message : `${place}: ${message}`;
  });
  const more = faults.filter((fault) => fault !== error.message).map((fault) => `  ${fault}\n`); // the API may have named the first
  stderr.write([`maia: ${error.message}\n`, ...more, error.hint ? `${error.hint}\n` : ""].join(""));
  return error.exitCode;
}

function writeProblem(problem: object): void {
  stderr.write(`${JSON.stringify(problem)}\n`);
}
