import type { JsonObject } from "../canonical-json.js";
import { urlProblem } from "../input-file.js";
import {
  checkParamsReserved,
  type FilesRule,
  type InputExample,
  type InputSpec,
  isReservedKey,
} from "../input-spec.js";
import { fileNameProblem, nameProblem } from "../names.js";
import { isRecord, type Reader } from "../reader.js";
import { readDescription, readTitle } from "./texts.js";

const FILES_MAX = 1_000;
const RULE_FIELDS = ["title", "description", "enabled", "required", "maxItems"] as const;

/** What a job may bring, or null where the definition does not say. The params' schema itself is checked elsewhere. */
export function readInputSpec(place: Reader): InputSpec | null {
  if (place.isAbsent || place.isNull) return null;
  const field = place.object(["version", "paramsSchema", "filesInput", "examples"]);
  field("version").oneOf([2], 2);
  return {
    version: 2,
    paramsSchema: readParamsSchema(field("paramsSchema")),
    filesInput: readFilesInput(field("filesInput")),
    examples: field("examples").items(100).map(readExample),
  };
}

function readParamsSchema(place: Reader): JsonObject | null {
  if (place.isAbsent || place.isNull) return null;
  const schema = place.jsonObject();
  const properties = place.at("properties");
  for (const key of Object.keys(isRecord(schema.properties) ? schema.properties : {})) {
    if (isReservedKey(key)) properties.at(key).fail(`${key} is reserved for Maia`, "RESERVED_KEY");
  }
  const required = Array.isArray(schema.required) ? schema.required : [];
  required.forEach((key, index) => {
    if (isReservedKey(key)) place.at("required").at(index).fail(`${key} is reserved for Maia`, "RESERVED_KEY");
  });
  return schema;
}

function readFilesInput(place: Reader): InputSpec["filesInput"] {
  const field = place.isAbsent ? () => place : place.object(["uploadFiles", "urlFiles"]);
  const uploads = members(field("uploadFiles"), [...RULE_FIELDS, "acceptMime"]);
  const acceptMime = uploads("acceptMime")
    .items(100)
    .map((pattern) => pattern.string(mimePatternProblem));
  return {
    uploadFiles: { ...readRule(uploads), acceptMime },
    urlFiles: readRule(members(field("urlFiles"), RULE_FIELDS)),
  };
}

function members(place: Reader, known: readonly string[]): (name: string) => Reader {
  return place.isAbsent ? () => place : place.object(known);
}

function readRule(field: (name: string) => Reader): FilesRule {
  const maxItems = field("maxItems");
  return {
    title: readTitle(field("title")),
    description: readDescription(field("description")),
    enabled: field("enabled").boolean(true),
    required: field("required").boolean(false),
    maxItems: maxItems.isAbsent || maxItems.isNull ? null : maxItems.integer(1, FILES_MAX),
  };
}

function readExample(place: Reader): InputExample {
  const field = place.object(["name", "description", "params", "urlFiles", "uploadNotes"]);
  const params = field("params").isAbsent ? {} : field("params").jsonObject();
  for (const { pointer, message } of checkParamsReserved(params, "")) {
    field("params").at(pointer.slice(1)).fail(message, "RESERVED_KEY");
  }
  return {
    name: field("name").string((text) => nameProblem(text, 200)),
    description: readDescription(field("description")),
    params,
    urlFiles: field("urlFiles").items(FILES_MAX).map(readUrlFile),
    uploadNotes: readDescription(field("uploadNotes")),
  };
}

function readUrlFile(place: Reader) {
  const field = place.object(["url", "name"]);
  return { url: field("url").string(urlProblem), name: field("name").optionalString(fileNameProblem) };
}

function mimePatternProblem(text: string): string | null {
  const token = "[A-Za-z0-9!#$&^_.+-]{1,127}";
  const isPattern = text === "*/*" || new RegExp(`^${token}/(?:\\*|${token})$`).test(text);
  return isPattern ? null : "must be a media type such as text/csv, or image/* for all of a kind";
}
