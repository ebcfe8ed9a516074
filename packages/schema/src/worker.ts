import { parentPort } from "node:worker_threads";
import type { InputIssue, Json, JsonObject } from "@maia/domain";
import { type Compiled, compile, judge } from "./compile.js";
import { draftOf } from "./keywords.js";
import { READY, type Reply, type Request, type Verdict } from "./requests.js";

/** Most text of schemas that are kept compiled, in characters; compiled they take some thirty times as much memory. */
const KEPT_CHARACTERS = 1024 * 1024;
/** Counts for each schema besides its text: what even the smallest takes. */
const CHARACTERS_EACH = 2 * 1024;

const kept = new Map<string, { readonly compiled: Compiled; readonly characters: number }>();
let keptCharacters = 0;

function answer({ ask, hash, schema, value }: Request): Reply {
  if (ask === "check") return { is: "done", issues: guarded(() => judge(JSON.parse(schema ?? "null"))), value };
  const known = kept.get(hash)?.compiled;
  if (!known && schema === null) return { is: "unknown" };
  const document = JSON.parse(value);
  const judged = (one: Json): Verdict => {
    const issues = guarded(() => (kept.get(hash)?.compiled ?? keep(hash, schema ?? "null")).validate(one));
    return { issues, value: issues.length > 0 ? "" : JSON.stringify(one) };
  };
  if (ask === "validateAll") return { is: "all", verdicts: document.map(judged) };
  return { is: "done", ...judged(document) };
}

/** Keeps a compiled schema, and forgets the oldest ones that there is no room for. */
function keep(hash: string, text: string): Compiled {
  const schema: JsonObject = JSON.parse(text);
  const compiled = compile(schema, draftOf(schema.$schema) ?? "2020-12");
  const characters = text.length + CHARACTERS_EACH;
  kept.set(hash, { compiled, characters });
  keptCharacters += characters;
  for (const [oldest, { characters }] of kept) {
    if (keptCharacters <= KEPT_CHARACTERS || oldest === hash) break;
    kept.delete(oldest);
    keptCharacters -= characters;
  }
  return compiled;
}

/** What goes wrong with a schema is the schema's fault: it is answered, not thrown. */
function guarded(look: () => InputIssue[]): InputIssue[] {
  try {
    return look();
  } catch (error) {
    if (error instanceof RangeError) return [{ pointer: "", message: "the schema and the value nest without end" }];
    return [{ pointer: "", message: `the schema cannot be used: ${error instanceof Error ? error.message : error}` }];
  }
}

parentPort?.on("message", (request: Request) => parentPort?.postMessage(answer(request)));
parentPort?.postMessage(READY);
