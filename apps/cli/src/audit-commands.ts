import type { Command } from "commander";
import type { AuditFlags, VerifyFlags } from "./commands/audit.js";
import type { Context } from "./context.js";
import { type Act, limit } from "./flags.js";

/** `maia audit …`. */
export function addAuditCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/audit.js");
  const audit = program.command("audit").description("who did what, and whether that record is whole");
  const list = audit
    .command("list")
    .description("entries of the audit log, newest first")
    .option("--actor <id>", "only by this API key or part of Maia")
    .option("--action <action>", "only of this kind, such as workflow.delete")
    .option("--target <id>", "only about this object")
    .addOption(limit());
  act(list, async (flags: AuditFlags) => (await load()).listAudit(context, flags));
  const verify = audit
    .command("verify")
    .description("read the whole log and check its chain of hashes here")
    .option("--head <seq:hash>", "what an earlier check printed: the log must still contain it");
  act(verify, async (flags: VerifyFlags) => (await load()).verifyAudit(context, flags));
}
