import { type Command, Option } from "commander";
import type { CreateKeyFlags, ListKeysFlags } from "./commands/keys.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, collect, limit } from "./flags.js";

/** `maia keys …`. */
export function addKeyCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/keys.js");
  const keys = program.command("keys").description("API keys: who may use Maia, and for what");
  const list = keys
    .command("list")
    .description("the keys that count, without their secrets, newest first")
    .option("--all", "those that are revoked or have run out as well")
    .addOption(limit());
  act(list, async (flags: ListKeysFlags) => (await load()).listKeys(context, flags));
  const create = keys
    .command("create <name>")
    .description("make a key and print it; it is shown this once")
    .addOption(
      new Option("--role <role>", "what it may do")
        .choices(["viewer", "operator", "editor", "admin"])
        .makeOptionMandatory(),
    )
    .option("--project <project>", "only this project, by name or id; may be given again. All unless given", collect)
    .option("--expires <when>", "when it ends: 90d, 12h or a moment; never unless given");
  act(create, async (flags: CreateKeyFlags, name: string) => (await load()).createKey(context, name, flags));
  const revoke = keys.command("revoke <id>").description("refuse it from now on, for good, its tokens with it");
  act(revoke, async (flags: CommonFlags, id: string) => (await load()).revokeKey(context, id, flags));
}
