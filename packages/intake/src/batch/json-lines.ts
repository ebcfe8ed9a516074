import { isMaiaError } from "@maia/domain";
import { linesOf, type SourceRow } from "./source.js";

/** Items from JSON Lines: one object a line, as in `items`. Blank lines are passed over. */
export async function* readJsonLines(
  text: AsyncIterable<string>,
  parse: (line: string) => unknown,
): AsyncGenerator<SourceRow> {
  let row = 0;
  for await (const line of linesOf(text)) {
    row += 1;
    if (line.trim() !== "") yield readLine(line, row, parse);
  }
}

function readLine(line: string, row: number, parse: (line: string) => unknown): SourceRow {
  try {
    return { row, value: parse(line) };
  } catch (error) {
    if (!isMaiaError(error)) throw error;
    const message = "is no JSON, or not on a line of its own";
    return { row, issues: error.issues.length > 0 ? error.issues : [{ pointer: "", message }] };
  }
}
