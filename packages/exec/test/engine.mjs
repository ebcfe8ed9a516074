// An engine in miniature: opens an executor, starts one step and prints its frames. Tests kill it.
import { createHash } from "node:crypto";
import { openLocalExecutor } from "../dist/index.js";

const { root, isolation, leaseTtlMs, script, task, deps } = JSON.parse(process.env.ENGINE);
const contents = new Map();
const put = (text) => {
  const bytes = Buffer.from(text);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  contents.set(sha256, { bytes });
  return { sha256 };
};

const executor = await openLocalExecutor({
  root,
  ledgerId: "ledger",
  isolation,
  leaseTtlMs,
  poolSize: 2,
  deps,
  keep: async () => ({ sha256: "", sizeBytes: 0 }),
  log: () => {},
});
const input = put(JSON.stringify({ initialInput: {}, upstream: {} }));
const frames = executor.start({ ...task, script: put(script), input }, (sha256) => contents.get(sha256) ?? null);
for await (const batch of frames) for (const frame of batch) console.log(JSON.stringify(frame));
