import { type Command, Option } from "commander";
import type { SecretFlags } from "./commands/secrets.js";
import type { Context } from "./context.js";
import { type Act, project } from "./flags.js";

/** `maia secrets …`. */
export function addSecretCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/secrets.js");
  const secrets = program.command("secrets").description("values that steps get and that nobody else sees");
  const command = (words: string, description: string) =>
    secrets
      .command(words)
      .description(description)
      .addOption(new Option("--environment <environment>", "environment, by name or id").default("default"))
      .addOption(project());
  const list = command("list", "their names, and when they were set");
  act(list, async (flags: SecretFlags) => (await load()).listSecrets(context, flags));
  const set = command("set <name>", "set one; its value is read from stdin, or asked for without showing it");
  act(set, async (flags: SecretFlags, name: string) => (await load()).setSecret(context, name, flags));
  const remove = command("delete <name>", "delete one; steps that name it fail from then on");
  act(remove, async (flags: SecretFlags, name: string) => (await load()).deleteSecret(context, name, flags));
}
