import type { JsonObject } from "./canonical-json.js";
import type { InputIssue } from "./errors.js";

/** Members of a run's input that Maia fills in itself. */
export const reservedKeys = ["files", "upstream", "urlFiles"] as const;

/** True for a member of the params that is not the user's to set. */
export function isReservedKey(key: string): boolean {
  return (reservedKeys as readonly string[]).includes(key);
}

export interface FilesRule {
  readonly title: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly required: boolean;
  readonly maxItems: number | null;
}

export interface InputExample {
  readonly name: string;
  readonly description: string;
  readonly params: JsonObject;
  readonly urlFiles: readonly { readonly url: string; readonly name: string | null }[];
  readonly uploadNotes: string;
}

/** What a job of the workflow may bring. Version 2 is the only one. */
export interface InputSpec {
  readonly version: 2;
  readonly paramsSchema: JsonObject | null;
  readonly filesInput: {
    readonly uploadFiles: FilesRule & { readonly acceptMime: readonly string[] };
    readonly urlFiles: FilesRule;
  };
  readonly examples: readonly InputExample[];
}

/** An issue for each reserved member of the params. */
export function checkParamsReserved(params: { readonly [key: string]: unknown }, pointer = "/params"): InputIssue[] {
  return reservedKeys
    .filter((key) => Object.hasOwn(params, key))
    .map((key) => ({ pointer: `${pointer}/${key}`, message: `${key} is reserved for Maia` }));
}

/** An issue for each way in which a job's files break the rules of its workflow. Pointers begin at the job's request. */
export function checkFiles(
  spec: InputSpec | null,
  uploads: readonly { readonly name: string; readonly mime: string }[],
  urls: readonly unknown[],
): InputIssue[] {
  if (!spec) return [];
  const { uploadFiles, urlFiles } = spec.filesInput;
  const issues = [
    ...checkCount(uploadFiles, uploads.length, "/files"),
    ...checkCount(urlFiles, urls.length, "/urlFiles"),
  ];
  uploads.forEach(({ name, mime }, index) => {
    if (acceptsMime(uploadFiles.acceptMime, mime)) return;
    const message = `${name} is ${mime}; accepted are ${uploadFiles.acceptMime.join(", ")}`;
    issues.push({ pointer: `/files/${index}`, message });
  });
  return issues;
}

function checkCount(rule: FilesRule, count: number, pointer: string): InputIssue[] {
  const fail = (message: string) => [{ pointer, message }];
  if (!rule.enabled && count > 0) return fail("this workflow takes none of these files");
  if (rule.enabled && rule.required && count === 0) return fail("this workflow needs at least one of these files");
  if (rule.maxItems !== null && count > rule.maxItems)
    return fail(`must have at most ${rule.maxItems} files, got ${count}`);
  return [];
}

/** True when a media type fits one of the patterns, such as `text/csv` or `image/*`. No patterns accept everything. */
export function acceptsMime(patterns: readonly string[], mime: string): boolean {
  if (patterns.length === 0) return true;
  const [essence = ""] = mime.toLowerCase().split(";");
  const type = essence.trim();
  const [family = ""] = type.split("/");
  return patterns.some((pattern) => ["*/*", `${family}/*`, type].includes(pattern.toLowerCase()));
}
