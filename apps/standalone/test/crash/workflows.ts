import type { Workflow } from "../support/client.ts";

/** Tells the sink which attempt started, before anything else: a second line for one attempt is a double start (G6). */
const REPORT_NODE = `await fetch(process.env.SINK + "/" + [process.env.MAIA_RUN_ID, process.env.MAIA_STEP_KEY, process.env.MAIA_ATTEMPT_NO].join(","));`;

/**
 * Mixed load for the crash harness: a chain, a diamond over three runtimes with a file handed on, and a step that prints
 * a lot. The marker in the environment lets survivors be found from outside.
 */
export function crashWorkflows(sink: string, marker: string): Workflow[] {
  const env = { SINK: sink, CRASH_MARKER: marker };
  const node = (body: string) => `export default async function (ctx) { ${REPORT_NODE} ${body} }`;
  return [
    {
      name: "chain",
      env,
      steps: [
        { key: "a", script: node("return { n: 1 };") },
        { key: "b", deps: ["a"], script: node("return { n: ctx.upstream.a.n + 1 };") },
        { key: "c", deps: ["b"], script: node("return { n: ctx.upstream.b.n + 1 };") },
      ],
    },
    {
      name: "diamond",
      env,
      steps: [
        { key: "top", script: node(`await ctx.artifacts.write("numbers.txt", "1\\n2\\n3\\n"); return { ok: true };`) },
        {
          key: "left",
          runtime: "python",
          deps: ["top"],
          artifacts: [{ from: "top", name: "numbers.txt" }],
          script: [
            "import os, urllib.request",
            "def main(ctx):",
            "    e = os.environ",
            "    urllib.request.urlopen(e['SINK'] + '/' + ','.join([e['MAIA_RUN_ID'], e['MAIA_STEP_KEY'], e['MAIA_ATTEMPT_NO']]))",
            "    with open(ctx['artifacts'].path('top', 'numbers.txt')) as f:",
            "        return {'sum': sum(int(line) for line in f)}",
          ].join("\n"),
        },
        {
          key: "right",
          deps: ["top"],
          script: node(`await new Promise((r) => setTimeout(r, 150)); return { sum: 6 };`),
        },
        {
          key: "bottom",
          deps: ["left", "right"],
          script: node("return { total: ctx.upstream.left.sum + ctx.upstream.right.sum };"),
        },
      ],
    },
    {
      name: "fetch",
      env,
      steps: [
        {
          key: "read",
          script: `import { createHash } from "node:crypto"; import { readFileSync } from "node:fs";\n${node(
            `return { sha256: createHash("sha256").update(readFileSync(ctx.files[0].path)).digest("hex") };`,
          )}`,
        },
      ],
      outputsSpec: { version: 1, outputs: { sha256: { stepKey: "read", field: "sha256" } } },
    },
    {
      name: "chatty",
      env,
      steps: [
        {
          key: "talk",
          script: node(
            `for (let i = 1; i <= 300; i++) { console.log("line " + i); if (i % 50 === 0) await new Promise((r) => setTimeout(r, 20)); } return {};`,
          ),
        },
      ],
    },
  ];
}
