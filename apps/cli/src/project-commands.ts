import type { Command } from "commander";
import type { EnvironmentFlags, ListPlacesFlags, SetEnvironmentFlags } from "./commands/projects.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, ALL, collect, limit, project } from "./flags.js";

/** `maia projects …` and `maia environments …`. */
export function addProjectCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/projects.js");
  const projects = program.command("projects").description("what keys and allow lists speak of: list and make them");
  const list = projects.command("list").description("those that the key may read, newest first").addOption(limit(ALL));
  act(list, async (flags: ListPlacesFlags) => (await load()).listProjects(context, flags));
  const create = projects.command("create <name>").description("make one, with an environment `default`");
  act(create, async (flags: CommonFlags, name: string) => (await load()).createProject(context, name, flags));

  const environments = program
    .command("environments")
    .description("where a project's runs get their variables, secrets and runner from");
  const each = environments
    .command("list")
    .description("those of a project, newest first, with their default runners")
    .addOption(project())
    .addOption(limit(ALL));
  act(each, async (flags: ListPlacesFlags & EnvironmentFlags) => (await load()).listEnvironments(context, flags));
  const show = environments.command("show <environment>").description("its variables").addOption(project());
  act(show, async (flags: EnvironmentFlags, ref: string) => (await load()).showEnvironment(context, ref, flags));
  const make = withSettings(environments.command("create <name>").description("make one"));
  act(make, async (flags: SetEnvironmentFlags, name: string) => (await load()).createEnvironment(context, name, flags));
  const set = withSettings(environments.command("set <environment>").description("change what is named"))
    .option("--unset <name>", "a variable to take away", collect)
    .option("--no-default-runner", "have none: its jobs go to hosted");
  act(set, async (flags: SetEnvironmentFlags, ref: string) => (await load()).setEnvironment(context, ref, flags));
}

function withSettings(command: Command): Command {
  return command
    .option("--variable <name=value>", "a variable for its steps", collect)
    .option("--default-runner <runner>", "where its jobs go that name no runner, by name or id")
    .addOption(project());
}
