import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { minimal, refusal, withStep } from "../test/refusal.js";
import { parseDefinition } from "./definition.js";
import { snapHash } from "./workflow-snapshot.js";

describe("a definition", () => {
  it("is filled in with every default", () => {
    expect(parseDefinition(minimal)).toEqual({
      name: "hello",
      description: "",
      inputSpec: null,
      outputsSpec: null,
      env: {},
      secrets: [],
      dependencies: { npm: {}, python: [] },
      reuse: false,
      timeoutMs: null,
      queueTimeoutMs: null,
      concurrency: null,
      steps: [
        {
          key: "say",
          name: "say",
          runtime: "node",
          script: "export default () => ({})",
          deps: [],
          artifacts: [],
          secrets: [],
          timeoutMs: 600_000,
          retry: { maxAttempts: 1, backoffMs: 1_000, multiplier: 2, maxBackoffMs: 30_000, jitter: 0.2 },
          transaction: null,
          rollback: false,
          limits: null,
        },
      ],
    });
  });

  it("may limit how many steps of a run go on at once, and what each step uses", () => {
    const limits = { memoryBytes: 256 * 1024 * 1024, cpuMs: 5_000 };
    const snapshot = parseDefinition({ ...withStep({ limits }), concurrency: 2 });
    expect(snapshot.concurrency).toBe(2);
    expect(snapshot.steps[0]!.limits).toEqual({ ...limits, processes: null });
    for (const wrong of [0, 1.5, "2", 10_001])
      expect(Object.keys(refusal({ ...minimal, concurrency: wrong }).issues)).toEqual(["/concurrency"]);
    const tooSmall = { memoryBytes: 1_000, processes: 1, cpuMs: 10, disk: 1 };
    expect(Object.keys(refusal(withStep({ limits: tooSmall })).issues).sort()).toEqual(
      ["cpuMs", "disk", "memoryBytes", "processes"].map((name) => `/steps/0/limits/${name}`),
    );
  });

  it.each(["timeoutMs", "queueTimeoutMs"])("may limit its time by %s, in whole milliseconds", (name) => {
    expect(parseDefinition({ ...minimal, [name]: 1_000 })).toMatchObject({ [name]: 1_000 });
    for (const wrong of [0, -1, 1.5, "1000", 366 * 86_400_000 + 1])
      expect(Object.keys(refusal({ ...minimal, [name]: wrong }).issues)).toEqual([`/${name}`]);
  });

  it("takes all that the contract's example has", () => {
    const snapshot = parseDefinition({
      name: "csv-report",
      description: "One line.",
      inputSpec: {
        version: 2,
        paramsSchema: { type: "object", properties: { top: { type: "integer", default: 10 } } },
        filesInput: {
          uploadFiles: { required: true, maxItems: 3, acceptMime: ["text/csv"] },
          urlFiles: { enabled: true, maxItems: 5 },
        },
        examples: [{ name: "small", params: { top: 3 } }],
      },
      env: { REPORT_STYLE: "short" },
      secrets: ["WAREHOUSE_DSN"],
      dependencies: { npm: { "csv-parse": "^6.0.0" }, python: [] },
      reuse: false,
      steps: [
        { key: "parse", name: "Parse the file", runtime: "node", script: "…", deps: [], artifacts: [] },
        {
          key: "summarise",
          script: "…",
          deps: ["parse"],
          artifacts: [{ from: "parse", name: "data.csv" }],
          retry: { maxAttempts: 3, backoffMs: 1_000, multiplier: 2, maxBackoffMs: 30_000, jitter: 0.2 },
        },
      ],
      outputsSpec: { version: 1, outputs: { report: { stepKey: "summarise", field: "markdown" } } },
    });
    expect(snapshot.inputSpec?.filesInput.uploadFiles).toEqual({
      title: "",
      description: "",
      enabled: true,
      required: true,
      maxItems: 3,
      acceptMime: ["text/csv"],
    });
    expect(parseDefinition(JSON.parse(JSON.stringify(snapshot)))).toEqual(snapshot);
  });

  it("refuses what it does not know, with a pointer for each", () => {
    const { code, issues } = refusal({ ...withStep({ sript: 1, file: "a.mjs" }), concurency: 1, env: [] });
    expect(code).toBe("INVALID");
    expect(Object.keys(issues)).toEqual(["/concurency", "/steps/0/sript", "/steps/0/file", "/env"]);
    expect(issues["/steps/0/file"]).toMatch(/maia apply/);
  });

  it.each([null, 1, "x", [], true, undefined])("is no %p", (value) => {
    expect(refusal(value).issues).toHaveProperty([""]);
  });

  it.each(["", "A", "-a", "a_b", "x".repeat(64), 5, null, "wf_1", "ä"])("is not called %p", (name) => {
    expect(Object.keys(refusal({ ...minimal, name }).issues)).toEqual(["/name"]);
  });
});

describe("parseDefinition", () => {
  it("gives the same snapshot and hash for a definition and for its own snapshot", () => {
    fc.assert(
      fc.property(definitions, (definition) => {
        const snapshot = parseDefinition(definition);
        const again = parseDefinition(JSON.parse(JSON.stringify(snapshot)));
        expect(again).toEqual(snapshot);
        expect(snapHash(again)).toBe(snapHash(snapshot));
      }),
    );
  });

  it("answers anything at all with a snapshot or a MaiaError", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.record({ name: fc.anything(), steps: fc.array(fc.anything()) })),
        (value) => {
          expect(() => parseDefinition(value)).toThrow(expect.objectContaining({ name: "MaiaError" }));
        },
      ),
    );
  });
});

const optional = { requiredKeys: [] as [] };
const definitions = fc
  .record({
    count: fc.integer({ min: 1, max: 6 }),
    seeds: fc.array(fc.nat(63), { minLength: 6, maxLength: 6 }),
    extra: fc.record(
      {
        description: fc.string({ unit: "grapheme-ascii" }),
        reuse: fc.boolean(),
        env: fc.dictionary(fc.stringMatching(/^E[A-Z0-9_]{0,8}$/), fc.string({ unit: "grapheme-ascii" })),
        secrets: fc.uniqueArray(fc.stringMatching(/^S[A-Z0-9_]{0,8}$/)),
        inputSpec: fc.record({ paramsSchema: fc.constant({ type: "object" }), version: fc.constant(2) }, optional),
      },
      optional,
    ),
    step: fc.record(
      {
        name: fc.constantFrom("Parse", "Über"),
        runtime: fc.constantFrom("node", "python", "shell"),
        timeoutMs: fc.integer({ min: 1, max: 604_800_000 }),
        retry: fc.record({ maxAttempts: fc.integer({ min: 1, max: 9 }), backoffMs: fc.nat(90_000) }, optional),
      },
      optional,
    ),
  })
  .map(({ count, seeds, extra, step }) => ({
    name: "generated",
    ...extra,
    steps: Array.from({ length: count }, (_, i) => ({
      ...step,
      key: `s${i}`,
      script: "x",
      deps: Array.from({ length: i }, (_, k) => `s${k}`).filter((_, k) => (seeds[i]! >> k) & 1),
    })),
  }));
