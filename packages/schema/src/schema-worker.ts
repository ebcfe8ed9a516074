import { type InputIssue, type Json, type JsonObject, sha256Hex } from "@maia/domain";
import { inspectSchema } from "./inspect.js";
import { Lane, type Overrun } from "./lane.js";
import type { SizeLimits } from "./measure.js";
import type { Reply, Request } from "./requests.js";

export interface SchemaLimits extends SizeLimits {
  /** How long one check or validation may take, in milliseconds. */
  readonly validateMs: number;
}

/** A value with its defaults filled in, or what is wrong with it. */
export interface Validation {
  readonly value: Json;
  /** The value as JSON text. */
  readonly text: string;
  readonly issues: readonly InputIssue[];
}

/** Runs users' JSON Schemas where they can hurt nobody: in a thread with limits on memory and time. */
export interface SchemaWorker extends AsyncDisposable {
  /** What is wrong with a schema itself; pointers begin at its root. */
  check(schema: unknown): Promise<InputIssue[]>;
  /** Whether a value fits a schema, with the schema's defaults filled in; pointers begin at the value's root. */
  validate(schema: JsonObject, value: Json): Promise<Validation>;
  /** The same for many values: as many at a time as the limits of one validation leave room for. */
  validateAll(schema: JsonObject, values: readonly Json[]): Promise<Validated[]>;
}

/** One of many values as JSON text, its defaults filled in, or what is wrong with it. */
export type Validated = Omit<Validation, "value">;

/** Starts no thread yet: that waits for the first request. */
export function openSchemaWorker(limits: SchemaLimits): SchemaWorker {
  return new TwoLanes(limits);
}

/** A schema as the threads get it, or why they do not. */
interface Prepared {
  readonly hash: string;
  readonly text: string;
  readonly issues: readonly InputIssue[];
}

/** Most text that one request of many values carries, in characters, and most values. */
const TOGETHER_CHARACTERS = 128 * 1024;
const TOGETHER_MAX = 200;

/** Most schemas remembered as having overrun their limits. */
const SUSPECTS_MAX = 1_000;

/**
 * A schema that has overrun its limits once runs in a lane of its own from then on, so that it takes time only from its
 * like.
 */
class TwoLanes implements SchemaWorker {
  private readonly prepared = new WeakMap<object, Prepared>();
  private readonly suspects = new Set<string>();
  private readonly slow: Lane;
  private readonly fast: Lane;

  constructor(private readonly limits: SchemaLimits) {
    this.slow = new Lane(limits.validateMs);
    this.fast = new Lane(limits.validateMs, (job) => {
      if (!this.suspects.has(job.request.hash)) return true;
      this.slow.submit(job);
      return false;
    });
  }

  async check(schema: unknown): Promise<InputIssue[]> {
    const { hash, text, issues } = this.prepare(schema);
    if (issues.length > 0) return [...issues];
    const reply = await this.ask({ ask: "check", hash, schema: text, value: "" });
    return typeof reply === "string"
      ? [this.issueOf(reply, "running the schema")]
      : reply.is === "done"
        ? [...reply.issues]
        : [];
  }

  async validate(schema: JsonObject, value: Json): Promise<Validation> {
    const { hash, text, issues } = this.prepare(schema);
    const refuse = (reasons: readonly InputIssue[]) => ({ value, text: "", issues: reasons });
    if (issues.length > 0)
      return refuse([{ pointer: "", message: `the schema itself is refused: ${issues[0]?.message}` }]);
    const valueText = stringify(value);
    if (valueText === null) return refuse([{ pointer: "", message: "is no JSON, or nests without end" }]);
    let reply = await this.ask({ ask: "validate", hash, schema: null, value: valueText });
    if (typeof reply !== "string" && reply.is === "unknown") {
      reply = await this.ask({ ask: "validate", hash, schema: text, value: valueText });
    }
    if (typeof reply === "string") return refuse([this.issueOf(reply, "checking this value against the schema")]);
    if (reply.is !== "done") throw new Error("the schema worker does not know what it was told");
    if (reply.issues.length > 0) return refuse(reply.issues);
    return { value: JSON.parse(reply.value), text: reply.value, issues: [] };
  }

  async validateAll(schema: JsonObject, values: readonly Json[]): Promise<Validated[]> {
    const results: Validated[] = [];
    for (const group of grouped(values)) results.push(...(await this.validateGroup(schema, group)));
    return results;
  }

  /** Together; one by one where that has been too much, so that the value whose fault it is answers for it alone. */
  private async validateGroup(schema: JsonObject, { values, text }: Group): Promise<readonly Validated[]> {
    const { hash, text: schemaText, issues } = this.prepare(schema);
    if (text !== null && issues.length === 0 && !this.suspects.has(hash)) {
      const reply = await this.ask({ ask: "validateAll", hash, schema: schemaText, value: text });
      if (typeof reply !== "string" && reply.is === "all") {
        return reply.verdicts.map((verdict) => ({ text: verdict.value, issues: verdict.issues }));
      }
    }
    const results: Validated[] = [];
    for (const value of values) results.push(await this.validate(schema, value));
    return results;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.fast.close(), this.slow.close()]);
  }

  private ask(request: Request): Promise<Reply | Overrun> {
    return new Promise((resolve, failed) => {
      const done = (reply: Reply | Overrun) => {
        if (typeof reply === "string") this.suspect(request.hash); // before the next of its kind has its turn
        resolve(reply);
      };
      this.fast.submit({ request, done, failed });
    });
  }

  private suspect(hash: string): void {
    this.suspects.add(hash);
    const [oldest] = this.suspects;
    if (this.suspects.size > SUSPECTS_MAX && oldest !== undefined) this.suspects.delete(oldest);
  }

  private issueOf(overrun: Overrun, what: string): InputIssue {
    const message = overrun === "time" ? `takes longer than ${this.limits.validateMs} ms` : "takes too much memory";
    return { pointer: "", message: `${what} ${message}` };
  }

  private prepare(schema: unknown): Prepared {
    const known = typeof schema === "object" && schema !== null ? this.prepared.get(schema) : undefined;
    if (known) return known;
    const prepared = prepareSchema(schema, this.limits);
    if (typeof schema === "object" && schema !== null) this.prepared.set(schema, prepared);
    return prepared;
  }
}

function prepareSchema(schema: unknown, limits: SchemaLimits): Prepared {
  const { issues } = inspectSchema(schema, limits);
  if (issues.length > 0) return { hash: "", text: "", issues };
  const text = JSON.stringify(schema);
  const message = `must have at most ${limits.maxBytes} bytes`;
  if (Buffer.byteLength(text) > limits.maxBytes) return { hash: "", text: "", issues: [{ pointer: "", message }] };
  return { hash: sha256Hex(text), text, issues };
}

/** Values that are validated together, as the text of a list; null where one of them is no JSON. */
interface Group {
  readonly values: readonly Json[];
  readonly text: string | null;
}

function* grouped(values: readonly Json[]): Generator<Group> {
  let together: Json[] = [];
  let texts: string[] = [];
  let characters = 0;
  for (const value of values) {
    const text = stringify(value);
    if (text !== null) {
      together.push(value);
      texts.push(text);
      characters += text.length;
      if (characters < TOGETHER_CHARACTERS && texts.length < TOGETHER_MAX) continue;
    }
    if (texts.length > 0) yield { values: together, text: `[${texts.join(",")}]` };
    if (text === null) yield { values: [value], text };
    [together, texts, characters] = [[], [], 0];
  }
  if (texts.length > 0) yield { values: together, text: `[${texts.join(",")}]` };
}

function stringify(value: Json): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    return null; // too deep
  }
}
