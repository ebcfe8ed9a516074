import type { Workflow } from "./support/client.ts";

/** Counts the lines of a part, in each runtime. */
const COUNT = {
  node: (part: number) => `import { readFile } from "node:fs/promises";
    export default async ({ artifacts }) => {
      const text = await readFile(artifacts.path("split", "part-${part}.txt"), "utf8");
      return { lines: text.split("\\n").length - 1 };
    }`,
  python: (part: number) =>
    `def main(ctx):\n    with open(ctx["artifacts"].path("split", "part-${part}.txt")) as f:\n        return {"lines": len(f.readlines())}\n`,
  shell: (part: number) =>
    `n=$(wc -l < "$MAIA_RUN_DIR/artifacts/split/part-${part}.txt")\nprintf '{"lines": %d}' "$n" > "$MAIA_OUTPUT_PATH"\n`,
};

/** Twelve steps in a diamond over three runtimes, with files handed from step to step. */
export const diamond: Workflow = {
  name: "twelve",
  steps: [
    {
      key: "split",
      script: `import { readFile } from "node:fs/promises";
        export default async function ({ files, params, artifacts, log }) {
          const text = await readFile(files[0].path, "utf8");
          const words = text.split(/\\s+/).filter(Boolean);
          for (const part of [0, 1, 2]) await artifacts.write("part-" + part + ".txt", words.filter((_, i) => i % 3 === part).join("\\n") + "\\n");
          console.log("split " + words.length + " words for " + params.who);
          return { words: words.length };
        }`,
    },
    ...["node", "python", "shell"].flatMap((runtime, part): Workflow["steps"] => [
      {
        key: `count-${part}`,
        runtime: runtime as "node" | "python" | "shell",
        deps: ["split"],
        artifacts: [{ from: "split", name: `part-${part}.txt` }],
        script: COUNT[runtime as keyof typeof COUNT](part),
      },
      {
        key: `upper-${part}`,
        runtime: "shell" as const,
        deps: [`count-${part}`],
        artifacts: [{ from: "split", name: `part-${part}.txt` }],
        script: `tr a-z A-Z < "$MAIA_RUN_DIR/artifacts/split/part-${part}.txt" > "$MAIA_ARTIFACTS_DIR/upper-${part}.txt"\necho "upper ${part} done" >&2\n`,
      },
      {
        key: `hash-${part}`,
        runtime: "python" as const,
        deps: [`upper-${part}`],
        artifacts: [{ from: `upper-${part}`, name: `upper-${part}.txt` }],
        script: `import hashlib\ndef main(ctx):\n    with open(ctx["artifacts"].path("upper-${part}", "upper-${part}.txt"), "rb") as f:\n        digest = hashlib.sha256(f.read()).hexdigest()\n    for i in range(50):\n        print("line", i)\n    return {"sha256": digest}\n`,
      },
    ]),
    {
      key: "join",
      deps: ["hash-0", "hash-1", "hash-2"],
      script: `export default async function ({ upstream, artifacts }) {
        const hashes = [0, 1, 2].map((part) => upstream["hash-" + part].sha256);
        await artifacts.write("hashes.txt", hashes.join("\\n") + "\\n");
        return { hashes };
      }`,
    },
    {
      key: "report",
      runtime: "python",
      deps: ["join"],
      artifacts: [{ from: "join", name: "hashes.txt" }],
      script: `def main(ctx):\n    with open(ctx["artifacts"].path("join", "hashes.txt")) as f:\n        lines = f.read().split()\n    ctx["artifacts"].write("report.md", "# Hashes\\n" + "".join("- %s\\n" % line for line in lines))\n    return {"hashes": len(lines), "first": lines[0]}\n`,
    },
  ],
  outputsSpec: {
    version: 1,
    outputs: { first: { stepKey: "report", field: "first" }, words: { stepKey: "split", field: "words" } },
  },
};
