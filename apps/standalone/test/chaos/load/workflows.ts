import type { Workflow } from "../../support/client.ts";
import type { Chaos } from "../chaos.ts";

/** Tells the ledger which attempt starts, and the folder that it has of the host: a sandbox shows it only in its mounts. */
const SAY_NODE = `
import { readFileSync } from "node:fs";
const { MAIA_RUN_ID, MAIA_STEP_KEY, MAIA_ATTEMPT_NO, MAIA_ATTEMPT_DIR, LEDGER } = process.env;
const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\\n").map((line) => line.split(" "));
const folder = mounts.find((mount) => mount[4] === MAIA_ATTEMPT_DIR)?.[3] ?? MAIA_ATTEMPT_DIR;
const say = () => fetch(LEDGER + "/" + encodeURIComponent([MAIA_RUN_ID, MAIA_STEP_KEY, MAIA_ATTEMPT_NO, folder].join(",")));
`;
const SAY_SHELL = `#!/bin/bash
set -eu
folder=$(awk -v dir="$MAIA_ATTEMPT_DIR" '$5 == dir { print $4 }' /proc/self/mountinfo)
exec 3<>"/dev/tcp/127.0.0.1/\${LEDGER##*:}"
printf 'GET /%s,%s,%s,%s HTTP/1.0\\r\\n\\r\\n' "$MAIA_RUN_ID" "$MAIA_STEP_KEY" "$MAIA_ATTEMPT_NO" "\${folder:-$MAIA_ATTEMPT_DIR}" >&3
cat <&3 >/dev/null
`;

/** A node step that says that it starts before anything else: two of one attempt are a double start (G6). */
function node(body: string): string {
  return `${SAY_NODE}\nexport default async function (ctx) { await say(); ${body} }`;
}

function shell(body: string): string {
  return `${SAY_SHELL}${body}\n`;
}

const pause = (ms: number) => `await new Promise((resolve) => setTimeout(resolve, ${ms}));`;

/** An uploaded file, which becomes an artifact, which another step counts in. */
const parts: Workflow = {
  name: "parts",
  outputsSpec: { version: 1, outputs: { words: { stepKey: "sum", field: "words" } } },
  inputSpec: { version: 2, filesInput: { uploadFiles: { required: true, maxItems: 1 } } },
  steps: [
    {
      key: "copy",
      script: `import { readFile } from "node:fs/promises";\n${node(`await ctx.artifacts.write("copy.txt", await readFile(ctx.files[0].path)); return {};`)}`,
    },
    {
      key: "count",
      runtime: "shell",
      deps: ["copy"],
      artifacts: [{ from: "copy", name: "copy.txt" }],
      script: shell(`cat "$MAIA_RUN_DIR"/artifacts/copy/copy.txt | wc -w > "$MAIA_ARTIFACTS_DIR/count.txt"`),
    },
    {
      key: "sum",
      deps: ["count"],
      artifacts: [{ from: "count", name: "count.txt" }],
      script: `import { readFile } from "node:fs/promises";\n${node(`return { words: Number(await readFile(ctx.artifacts.path("count", "count.txt"), "utf8")) };`)}`,
    },
  ],
};

const slow: Workflow = {
  name: "slow",
  steps: [
    { key: "a", script: node(`${pause(1_200)} return { n: 1 };`) },
    { key: "b", runtime: "shell", deps: ["a"], script: shell("sleep 1") },
  ],
};

const flaky: Workflow = {
  name: "flaky",
  steps: [
    {
      key: "try",
      retry: { maxAttempts: 5, backoffMs: 100 },
      script: node(`if (ctx.run.attemptNo < 2) throw new Error("not yet"); return {};`),
    },
    { key: "then", deps: ["try"], script: node("return {};") },
  ],
};

/** Two steps that belong together, and one that undoes them. */
const trade: Workflow = {
  name: "trade",
  steps: [
    { key: "first", script: node("return {};") },
    { key: "buy", deps: ["first"], transaction: "deal", script: node(`${pause(600)} return {};`) },
    {
      key: "sell",
      deps: ["buy"],
      transaction: "deal",
      script: node(`${pause(300)} if (ctx.params.fails) throw new Error("no buyer"); return {};`),
    },
    { key: "undo", transaction: "deal", rollback: true, script: node("return {};") },
  ],
};

export async function publishAll(chaos: Chaos): Promise<void> {
  for (const workflow of [parts, slow, flaky, trade]) await chaos.publish({ ...workflow, env: { ...chaos.stepEnv } });
}
