import { diagnose, type Finding } from "@maia/runner/doctor";
import { type CommonFlags, type Context, printJson } from "../context.js";
import { type ExitCode, exitCodes } from "../exit-codes.js";
import { printTable } from "../output/table.js";
import type { Style } from "../output/terminal.js";

const looks: Readonly<Record<Finding["status"], { readonly text: string; readonly style: Style }>> = {
  ok: { text: "✔ ok", style: "green" },
  failed: { text: "✖ failed", style: "red" },
  skipped: { text: "· skipped", style: "dim" },
};

/** `maia runners doctor`: what keeps the runner of this environment from working, from the bottom up. */
export async function doctor(context: Context, flags: CommonFlags): Promise<ExitCode> {
  const diagnosis = await diagnose(context.env, context.clock);
  const { ok, findings, firstFailure } = diagnosis;
  if (flags.json) printJson(context, diagnosis);
  else {
    const rows = findings.map(({ layer, status, detail }) => [layer, looks[status], detail]);
    printTable(context.terminal, ["LAYER", "STATUS", "DETAIL"], rows);
    const first = findings.find(({ layer }) => layer === firstFailure);
    if (first) context.terminal.note(`${first.layer} fails: ${first.detail}\n${first.fix}`);
  }
  return ok ? exitCodes.ok : exitCodes.unexpected;
}
