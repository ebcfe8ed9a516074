import type { Command } from "commander";
import type { DiffFlags, ExportFlags, ImportFlags, MessageFlags, ProjectFlags } from "./commands/versions.js";
import type { Context } from "./context.js";
import { type Act, limit, project } from "./flags.js";

/** `maia versions …`: the history of a workflow, and what can be done with it. */
export function addVersionCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/versions.js");
  const versions = program.command("versions").description("list, compare, promote, export and import versions");
  const command = (name: string, description: string) =>
    versions.command(name).description(description).addOption(project());

  const list = command("list <workflow>", "the versions of a workflow, newest first")
    .option("--query <text>", "only those with this in their message")
    .addOption(limit());
  act(list, async (flags: ProjectFlags & { limit: string; query?: string }, workflow: string) =>
    (await load()).listVersions(context, workflow, flags),
  );
  const show = command("show <workflow> <version>", "a version and its steps");
  act(show, async (flags: ProjectFlags, workflow: string, version: string) =>
    (await load()).showVersion(context, workflow, version, flags),
  );
  const diff = command("diff <workflow> <version>", "what has changed up to a version").option(
    "--against <version>",
    "the version to begin with: a number, latest, or draft; the one before unless given",
  );
  act(diff, async (flags: DiffFlags, workflow: string, version: string) =>
    (await load()).diffVersions(context, workflow, version, flags),
  );
  const promote = command("promote <workflow> <version>", "make an earlier version what jobs get").option(
    "-m, --message <text>",
    "why, for the history",
  );
  act(promote, async (flags: MessageFlags, workflow: string, version: string) =>
    (await load()).promoteVersion(context, workflow, version, flags),
  );
  const give = command("export <workflow> <version>", "a version as one file, with scripts, schema and lock").option(
    "--to <file>",
    "where to write it; stdout unless given",
  );
  act(give, async (flags: ExportFlags, workflow: string, version: string) =>
    (await load()).exportVersion(context, workflow, version, flags),
  );
  const take = command("import <file>", "a version from a file that was exported, or - for stdin")
    .option("--name <workflow>", "the workflow to import it to; the one that it was exported from unless given")
    .option("--aside", "for jobs that name the version only")
    .option("-m, --message <text>", "what to say about it in place of what is in the file");
  act(take, async (flags: ImportFlags, file: string) => (await load()).importVersion(context, file, flags));
}
