import { type Change, diffSnapshots, type WorkflowSnapshot } from "@maia/domain";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";

/** A change as it is answered: texts of several lines differ by a unified patch, other values by what they were and are. */
export type ShownChange =
  | Change
  | { readonly op: "replace"; readonly pointer: string; readonly stepKey?: string; readonly patch: string };

/**
 * Most lines that are added and removed in one text, and in all texts of one comparison: the work grows with their
 * square, and while it lasts nobody else is served.
 */
const EDITS_MAX = 500;
const EDITS_TOTAL = 1_000;
/** Most lines of all texts of one comparison, both sides together. */
const LINES_TOTAL = 40_000;

/**
 * What has changed from one version's snapshot to another's. Texts that differ beyond what can be compared quickly are
 * shown whole, as they were and as they are.
 */
export function showChanges(from: WorkflowSnapshot, to: WorkflowSnapshot): ShownChange[] {
  let [lines, edits] = [LINES_TOTAL, EDITS_TOTAL];
  return diffSnapshots(from, to).map((change) => {
    if (change.op !== "replace" || typeof change.from !== "string" || typeof change.to !== "string") return change;
    const { from, to, ...rest } = change;
    const length = from.split("\n").length + to.split("\n").length;
    if (length === 2 || length > lines || edits <= 0) return change;
    lines -= length;
    const maxEditLength = Math.min(EDITS_MAX, edits);
    const patch = patchOf(change.pointer, from, to, maxEditLength);
    edits -= patch === undefined ? maxEditLength : editsOf(patch);
    return patch === undefined ? change : { ...rest, patch };
  });
}

function patchOf(pointer: string, from: string, to: string, maxEditLength: number): string | undefined {
  const options = { context: 3, maxEditLength, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(`a${pointer}`, `b${pointer}`, from, to, undefined, undefined, options);
}

function editsOf(patch: string): number {
  return patch.split("\n").filter((line) => /^[-+]/.test(line)).length;
}
