import { fromCursor, isIdOf, type Page, type PageRequest, toPage } from "@maia/db";

/** A page of a short list that is at hand, newest first. */
export function pageThrough<T extends { readonly id: string }>(
  items: readonly T[],
  page: PageRequest,
  prefix: string,
): Page<T> {
  const before = page.cursor === null ? null : fromCursor(page.cursor, isIdOf(prefix));
  const rest = before === null ? items : items.filter(({ id }) => id < before);
  return toPage(
    rest,
    page,
    ({ id }) => id,
    (item) => item,
  );
}
