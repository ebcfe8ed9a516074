/** A named change of status: where it may start, and where it ends. */
export interface Move<S extends string> {
  readonly from: readonly S[];
  readonly to: S;
}

/** A state machine is a table of moves. */
export type Moves<S extends string> = Readonly<Record<string, Move<S>>>;

/** Where a move leads from a status, or null where the table does not allow it. */
export function nextStatus<S extends string>(moves: Moves<S>, name: string, status: S): S | null {
  const move = Object.hasOwn(moves, name) ? moves[name] : undefined;
  return move?.from.includes(status) ? move.to : null;
}

/** The statuses that no move leaves. */
export function terminalStatuses<S extends string>(moves: Moves<S>): S[] {
  const all = Object.values(moves);
  const left = new Set(all.flatMap((move) => move.from));
  return [...new Set(all.map((move) => move.to))].filter((status) => !left.has(status));
}

/** Makes a forgotten case a compile error. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
