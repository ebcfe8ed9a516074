import type { Command } from "commander";
import type { GetFlags } from "./commands/artifacts.js";
import type { CommonFlags, Context } from "./context.js";
import type { Act } from "./flags.js";

/** `maia artifacts …`. */
export function addArtifactCommands(program: Command, context: Context, act: Act): void {
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
