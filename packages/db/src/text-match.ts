/** A pattern for `LIKE … ESCAPE '\'` that finds a text anywhere, whatever its letters stand for in a pattern. */
export function containing(text: string): string {
  return `%${text.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`;
}
