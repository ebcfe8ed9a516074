import { type InputIssue, isForbiddenKey, isRecord } from "@maia/domain";
import { pointerTo } from "./pointer.js";

/** How large a schema may be. */
export interface SizeLimits {
  readonly maxBytes: number;
  /** Most objects and lists. */
  readonly nodesMax: number;
}

/** How deep objects and lists may lie in each other. */
const DEPTH_MAX = 64;

/**
 * Looks whether a document is JSON of a bearable size, without recursion and without reading on once it is not.
 * Afterwards it is safe to recurse into it and to write it as text.
 */
export function measure(document: unknown, limits: SizeLimits): InputIssue[] {
  const issues: InputIssue[] = [];
  const waiting: { value: unknown; pointer: string; depth: number }[] = [{ value: document, pointer: "", depth: 0 }];
  let nodes = 0;
  let characters = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, pointer, depth } = next;
    characters += typeof value === "string" ? value.length + 2 : 1;
    if (characters > limits.maxBytes) return [{ pointer: "", message: `must have at most ${limits.maxBytes} bytes` }];
    const problem = scalarProblem(value);
    if (problem) issues.push({ pointer, message: problem });
    if (typeof value !== "object" || value === null || problem) continue;
    nodes += 1;
    if (nodes > limits.nodesMax)
      return [{ pointer: "", message: `must have at most ${limits.nodesMax} objects and lists` }];
    if (depth >= DEPTH_MAX) return [{ pointer: "", message: `must not be deeper than ${DEPTH_MAX} levels` }];
    for (const [key, member] of Object.entries(value)) {
      characters += key.length;
      const place = pointerTo(pointer, key);
      if (isForbiddenKey(key)) issues.push({ pointer: place, message: `${key} is not allowed as a key` });
      else waiting.push({ value: member, pointer: place, depth: depth + 1 });
    }
  }
  return issues;
}

function scalarProblem(value: unknown): string | null {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? null : "must be well-formed Unicode";
    case "number":
      return Number.isFinite(value) ? null : "must be a finite number";
    case "boolean":
      return null;
    case "object":
      return value === null || Array.isArray(value) || isRecord(value) ? null : "is no JSON";
    default:
      return "is no JSON";
  }
}
