import { type InputIssue, show } from "@maia/domain";
import type { ErrorObject } from "ajv";
import { pointerTo } from "./pointer.js";

/** Most issues in one answer. */
const ISSUES_MAX = 100;

/** Keywords that tell in one sentence what the schemas below them had to say. */
const CHOICES = ["anyOf", "oneOf", "contains"];

/** Ajv's errors as issues that people understand. */
export function toIssues(errors: readonly ErrorObject[]): InputIssue[] {
  const choices = errors.filter(({ keyword }) => CHOICES.includes(keyword));
  const isWithin = (error: ErrorObject) =>
    choices.some((choice) => choice !== error && error.schemaPath.startsWith(`${choice.schemaPath}/`));
  const issues: InputIssue[] = [];
  for (const error of errors) {
    if (error.keyword === "if" || error.keyword === "propertyNames" || isWithin(error)) continue;
    if (issues.push(toIssue(error, errors)) >= ISSUES_MAX) break;
  }
  return issues;
}

function toIssue(error: ErrorObject, all: readonly ErrorObject[]): InputIssue {
  const { instancePath, params, propertyName } = error;
  const member = params.missingProperty ?? params.additionalProperty ?? params.unevaluatedProperty ?? propertyName;
  const pointer = member === undefined ? instancePath : pointerTo(instancePath, member);
  const message = messageOf(error, all);
  return { pointer, message: propertyName === undefined ? message : `the name ${message}` };
}

function messageOf(error: ErrorObject, all: readonly ErrorObject[]): string {
  const { keyword, params, data } = error;
  const got = `, got ${show(data)}`;
  switch (keyword) {
    case "type":
      return `must be ${[params.type].flat().map(nameOfType).join(" or ")}${got}`;
    case "required":
      return "is required";
    case "additionalProperties":
    case "unevaluatedProperties":
      return "is not a known field";
    case "false schema":
      return "is not allowed";
    case "enum":
      return `must be one of ${list(params.allowedValues)}${got}`;
    case "const":
      return `must be ${JSON.stringify(params.allowedValue)}${got}`;
    case "minimum":
      return `must be at least ${params.limit}${got}`;
    case "maximum":
      return `must be at most ${params.limit}${got}`;
    case "exclusiveMinimum":
      return `must be more than ${params.limit}${got}`;
    case "exclusiveMaximum":
      return `must be less than ${params.limit}${got}`;
    case "multipleOf":
      return `must be a multiple of ${params.multipleOf}${got}`;
    case "minLength":
      return `must have at least ${count(params.limit, "character")}${got}`;
    case "maxLength":
      return `must have at most ${count(params.limit, "character")}${got}`;
    case "minItems":
      return `must have at least ${count(params.limit, "item")}`;
    case "maxItems":
      return `must have at most ${count(params.limit, "item")}`;
    case "minProperties":
      return `must have at least ${count(params.limit, "member")}`;
    case "maxProperties":
      return `must have at most ${count(params.limit, "member")}`;
    case "uniqueItems":
      return `must not hold the same item twice: ${Math.min(params.i, params.j)} and ${Math.max(params.i, params.j)}`;
    case "pattern":
      return `must match the pattern ${params.pattern}${got}`;
    case "format":
      return `must be a valid ${params.format}${got}`;
    case "contains":
      return `must hold at least ${count(params.minContains ?? 1, "item")} of the kind that is asked for`;
    case "dependentRequired":
    case "dependencies":
      return `is required when ${params.property} is given`;
    case "not":
      return "is of a kind that is not allowed";
    case "anyOf":
    case "oneOf":
      return messageOfChoice(error, all);
    default:
      return error.message ?? `breaks the rule ${keyword}`;
  }
}

function messageOfChoice(choice: ErrorObject, all: readonly ErrorObject[]): string {
  if (choice.params.passingSchemas) return "fits more than one of the kinds of which it must be exactly one";
  const reasons = all.filter((error) => error !== choice && error.schemaPath.startsWith(`${choice.schemaPath}/`));
  const texts = [...new Set(reasons.map((error) => toIssue(error, []).message))].slice(0, 3);
  return `fits none of the kinds that are allowed${texts.length > 0 ? `: ${texts.join("; or ")}` : ""}`;
}

function nameOfType(type: string): string {
  if (type === "null") return "null";
  if (type === "array") return "a list";
  return type === "integer" || type === "object" ? `an ${type}` : `a ${type}`;
}

function list(values: readonly unknown[]): string {
  const shown = values.slice(0, 10).map((value) => JSON.stringify(value).slice(0, 60));
  return values.length > shown.length ? `${shown.join(", ")}, …` : shown.join(", ");
}

function count(limit: number, what: string): string {
  return `${limit} ${what}${limit === 1 ? "" : "s"}`;
}
