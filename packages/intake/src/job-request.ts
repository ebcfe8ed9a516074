import {
  fileNameProblem,
  isForbiddenKey,
  isSha256,
  type JsonObject,
  nameProblem,
  Reader,
  urlProblem,
} from "@maia/domain";

/** A file that the caller has uploaded before. */
export interface JobFile {
  readonly name: string;
  readonly sha256: string;
}

/** A file that Maia is to download. */
export interface JobUrlFile {
  readonly url: string;
  readonly name: string;
}

/** What `POST /v1/jobs` asks for, checked by itself; whether what it names exists is checked later. */
export interface JobRequest {
  readonly workflow: string;
  /** By id or name; null: the default one, or the one that a workflow's id tells. */
  readonly project: string | null;
  readonly version: number | null;
  readonly params: JsonObject;
  readonly files: readonly JobFile[];
  readonly urlFiles: readonly JobUrlFile[];
  readonly environment: string | null;
  readonly runner: string | null;
  readonly priority: number;
  readonly labels: { readonly [name: string]: string };
}

export const jobFields = [
  "workflow",
  "project",
  "version",
  "params",
  "files",
  "urlFiles",
  "environment",
  "runner",
  "priority",
  "labels",
] as const;
export const FILES_MAX = 1_000;
export const URL_FILES_MAX = 100;
const LABELS_MAX = 32;
const LABEL_MAX = 128;
export const PRIORITY_MAX = 100;
const REF_MAX = 255;

/** Reads the request for a job. @throws {MaiaError} INVALID with a pointer for each fault. */
export function parseJobRequest(value: unknown): JobRequest {
  return Reader.read(value, (root) => readJobRequest(root.object(jobFields)));
}

/** Reads a job's fields where they stand among others. */
export function readJobRequest(field: (name: (typeof jobFields)[number]) => Reader): JobRequest {
  const version = field("version");
  return {
    workflow: field("workflow").string(refProblem),
    project: readRef(field("project")),
    version: version.isAbsent ? null : version.integer(1, 2 ** 31 - 1),
    params: field("params").isAbsent ? {} : field("params").jsonObject(),
    files: field("files").items(FILES_MAX).map(readFile),
    urlFiles: field("urlFiles").items(URL_FILES_MAX).map(readUrlFile),
    environment: readRef(field("environment")),
    runner: readRef(field("runner")),
    priority: field("priority").integer(-PRIORITY_MAX, PRIORITY_MAX, 0),
    labels: readLabels(field("labels")),
  };
}

/** Something by id or by name. It may be left out, but a value that is no text is a mistake and not a choice. */
export function readRef(place: Reader): string | null {
  return place.isAbsent ? null : place.string(refProblem);
}

/** What is wrong with an id or a name, or null. */
export function refProblem(text: string): string | null {
  return nameProblem(text, REF_MAX);
}

/** A file by the hash of its content. */
export function readFile(file: Reader): JobFile {
  const field = file.object(["name", "sha256"]);
  return {
    name: field("name").string(fileNameProblem),
    sha256: field("sha256").string((text) => (isSha256(text) ? null : "must be 64 lower-case hexadecimal digits")),
  };
}

/** A file that is to be downloaded. */
export function readUrlFile(file: Reader): JobUrlFile {
  const field = file.object(["url", "name"]);
  const url = field("url").string(urlProblem);
  return { url, name: field("name").isAbsent ? nameOf(url) : field("name").string(fileNameProblem) };
}

/** The last part of the URL's path, where it can be a file's name. */
function nameOf(url: string): string {
  const last = URL.parse(url)?.pathname.split("/").at(-1) ?? "";
  const name = decoded(last);
  return name !== "" && fileNameProblem(name) === null ? name : "download";
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Labels by their names. */
export function readLabels(labels: Reader): { [name: string]: string } {
  const result: { [name: string]: string } = {};
  for (const [name, value] of labels.entries(LABELS_MAX)) {
    const problem = isForbiddenKey(name) ? "is not allowed as a label" : nameProblem(name, LABEL_MAX);
    if (problem) value.fail(problem);
    else result[name] = value.string((text) => (text === "" ? null : nameProblem(text, LABEL_MAX)));
  }
  return result;
}
