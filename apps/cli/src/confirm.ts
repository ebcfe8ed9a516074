import { createInterface } from "node:readline/promises";
import type { Readable } from "node:stream";
import type { Context } from "./context.js";
import { CliError, usage } from "./errors.js";
import { exitCodes } from "./exit-codes.js";

/**
 * Has somebody type words to say that they mean it, unless a flag has said so.
 * @throws {CliError} where they type something else, or where there is nobody to ask.
 */
export async function confirmed(
  { terminal }: Pick<Context, "terminal">,
  question: string,
  words: string,
  yes: boolean | undefined,
  input: Readable & { readonly isTTY?: boolean } = process.stdin,
): Promise<void> {
  if (yes) return;
  if (!input.isTTY) throw usage(`This needs somebody to type "${words}"; where there is no terminal, give --yes`);
  const lines = createInterface({ input });
  terminal.note(`${question}:`);
  try {
    const interrupted = new Promise<never>((_, reject) => {
      lines.once("SIGINT", () => reject(new CliError(exitCodes.interrupted, "Nothing was done")));
    });
    const typed = await Promise.race([lines.question(""), interrupted]);
    if (typed.trim() !== words) throw usage(`That was not "${words}"; nothing was done`);
  } finally {
    lines.close();
  }
}
