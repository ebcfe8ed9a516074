import { type Command, Option } from "commander";
import type { ListFlags } from "./commands/runs.js";
import type { ApplyFlags } from "./commands/workflows.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, collect, limit, order, project } from "./flags.js";

/** `maia apply` and `maia workflows …`. */
export function addWorkflowCommands(program: Command, context: Context, act: Act): void {
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
