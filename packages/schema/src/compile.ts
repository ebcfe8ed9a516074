import type { InputIssue, Json, JsonObject } from "@maia/domain";
import { Ajv, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { inspectSchema } from "./inspect.js";
import type { Draft } from "./keywords.js";
import { toIssues } from "./messages.js";
import { LinearPattern, patternProblem } from "./patterns.js";
import { resolvePointer } from "./pointer.js";

const linear = Object.assign((pattern: string) => new LinearPattern(pattern), { code: "new LinearPattern" });

const options: Options = {
  allErrors: true,
  code: { regExp: linear, optimize: false }, // most schemas run a few times; compiling them is what takes long
  inlineRefs: false, // inlining multiplies code where references nest
  logger: false,
  ownProperties: true, // what every object inherits is no member of the data
  strict: false,
  useDefaults: true,
  verbose: true,
};

/** An Ajv of its own, since schemas that share one can see each other. */
function newAjv(draft: Draft, more: Options = {}): Ajv {
  const ajv = draft === "2020-12" ? new Ajv2020({ ...options, ...more }) : new Ajv({ ...options, ...more });
  addFormats.default(ajv);
  ajv.addFormat("regex", (pattern: string) => patternProblem(pattern) === null);
  return ajv;
}

/** Those that know the rules for schemas themselves; no user's schema is ever added to them. */
const judges = new Map<Draft, Ajv>();

function judgeOf(draft: Draft): Ajv {
  let judge = judges.get(draft);
  if (!judge) {
    judge = newAjv(draft, { useDefaults: false });
    judges.set(draft, judge);
  }
  return judge;
}

/** A schema that has passed `inspectSchema`, ready to run. */
export interface Compiled {
  /** Checks a value and fills in defaults, in place. */
  validate(value: Json): InputIssue[];
}

/** @throws {Error} when Ajv cannot make anything of the schema. */
export function compile(schema: JsonObject, draft: Draft): Compiled {
  const { $schema: _, ...plain } = schema;
  const ajv = newAjv(draft, { meta: false, validateSchema: false });
  const validate = ajv.compile(plain);
  return { validate: (value) => run(validate, value) };
}

function run(validate: ValidateFunction, value: Json): InputIssue[] {
  if (validate(value) === true) return [];
  return toIssues(validate.errors ?? []);
}

const UNLIMITED = { maxBytes: Number.POSITIVE_INFINITY, nodesMax: Number.POSITIVE_INFINITY };

/** Everything about a schema that can be known only by running it: patterns, keywords' values, defaults. */
export function judge(schema: JsonObject): InputIssue[] {
  const { draft, patterns, defaults } = inspectSchema(schema, UNLIMITED);
  const broken = patterns.flatMap(({ pointer, pattern }) => {
    const message = patternProblem(pattern);
    return message ? [{ pointer, message }] : [];
  });
  if (broken.length > 0) return broken;
  const { $schema: _, ...plain } = schema;
  const metaschema = judgeOf(draft);
  if (metaschema.validateSchema(plain) !== true) return toIssues(metaschema.errors ?? []);
  compile(schema, draft).validate({}); // a schema that runs in circles does so here
  return judgeDefaults(plain, draft, defaults);
}

/** Checks each default against the sub-schema that it stands in. */
function judgeDefaults(schema: JsonObject, draft: Draft, places: readonly string[]): InputIssue[] {
  if (places.length === 0) return [];
  const ajv = newAjv(draft, { meta: false, validateSchema: false });
  ajv.addSchema(schema, "schema");
  const properties = places.map((place, i) => [i, { $ref: `schema#${encodeURI(place).replaceAll("#", "%23")}` }]);
  const validate = ajv.compile({ type: "object", properties: Object.fromEntries(properties) });
  const values = places.map((place, i) => [i, structuredClone((resolvePointer(schema, place) as JsonObject).default)]);
  return run(validate, Object.fromEntries(values)).map(({ pointer, message }) => {
    const [, index = "", ...rest] = pointer.split("/");
    const within = rest.length > 0 ? ` at /${rest.join("/")}` : "";
    return { pointer: `${places[Number(index)] ?? ""}/default`, message: `the default${within} ${message}` };
  });
}
