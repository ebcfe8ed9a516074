import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import path from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Deployment, type Shape } from "./support/deployments.ts";

/**
 * A step that does its best to read what is not its own: it walks the whole tree that it can see, every process in
 * /proc, and the places where Maia is known to keep things. Whatever holds a canary, and is not its own, is a finding.
 */
const THIEF = `
import { existsSync, opendirSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import path from "node:path";

const found = [];
const look = (file) => {
  try {
    const stat = statSync(file);
    if (!stat.isFile() || stat.size > 50_000_000) return;
    const text = readFileSync(file, "latin1");
    for (const canary of process.env.CANARIES.split(",")) if (text.includes(canary)) found.push(file + " holds " + canary);
  } catch {}
};
const walk = (folder, depth) => {
  if (depth > 8 || /^\\/(proc|sys|dev|usr|lib|lib64|bin|sbin)(\\/|$)/.test(folder)) return;
  let names;
  try { names = readdirSync(folder, { withFileTypes: true }); } catch { return; }
  for (const entry of names) {
    const at = path.join(folder, entry.name);
    if (at === process.env.MAIA_RUN_DIR || at === process.env.MAIA_ATTEMPT_DIR) continue;
    if (entry.isDirectory()) walk(at, depth + 1); else look(at);
  }
};

export default async function (ctx) {
  walk("/", 0);
  for (const file of ctx.params.paths) if (existsSync(file)) found.push(file + " exists");
  for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name) && Number(name) !== process.pid)) {
    for (const file of ["environ", "cmdline", "maps", "mem"]) {
      try {
        const text = file === "mem" ? "" : readFileSync("/proc/" + pid + "/" + file, "latin1");
        if (/maia(\\.js)? (up|api|engine|runner)|RUNNER_TOKEN|MAIA_SECRET_KEY|maia\\.db/.test(text.replaceAll("\\0", " "))) found.push("/proc/" + pid + "/" + file);
      } catch {}
    }
    try { walk("/proc/" + pid + "/root", 6); } catch {}
    try { walk("/proc/" + pid + "/cwd", 6); } catch {}
  }
  const open = readdirSync("/proc/self/fd").map((fd) => { try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; } });
  for (const target of open) if (/maia\\.db|\\.sock|blobs|ledger/.test(target)) found.push("fd " + target);
  return { found, level: process.env.MAIA_ATTEMPT_ID ? "known" : "unknown", names: Object.keys(process.env).sort() };
}`;

/** Where whoever runs Maia keeps keys of his own, whatever the environment calls his home. */
const KEYS = path.join(userInfo().homedir, ".ssh");

describe.each<Shape>(["local", "runner"])("at sandbox, %s", (shape) => {
  it("a step that does its best reads nothing of Maia, of its runner or of another run (G30)", async () => {
    await using maia = await Deployment.start(shape, { MAIA_ISOLATION: "sandbox" });
    const { client, dataDir } = maia;
    const key = (await readFile(path.join(dataDir, "admin-key"), "utf8")).trim();
    const canaries = [`canary-of-another-run-${process.pid}`, key.slice(-20)];

    await client.apply({
      name: "victim",
      steps: [
        {
          key: "hold",
          runtime: "shell",
          script: `echo "${canaries[0]}" > secret.txt\necho "${canaries[0]}"\nsleep 30\n`,
        },
      ],
    });
    const victim = await client.submit("victim", { params: { secret: canaries[0] } });
    const paths = [dataDir, path.join(dataDir, "maia.db"), path.dirname(dataDir), KEYS, "/etc/shadow", "/home"];
    await client.apply({
      name: "thief",
      env: { CANARIES: canaries.join(",") },
      steps: [{ key: "steal", script: THIEF }],
    });
    const run = await client.finished((await client.submit("thief", { params: { paths } })).id);
    expect(run.failure).toBeNull();
    expect(run.steps[0]?.attempts[0]?.isolation).toBe("sandbox");

    const artifacts = await client.artifacts(run.id);
    const output = artifacts.find((artifact) => artifact.name === "output.json");
    const { data } = JSON.parse(new TextDecoder().decode(await client.content(output?.id ?? "")));
    expect(data.found).toEqual([]);
    const given = [
      "CANARIES",
      "HOME",
      "LANG",
      "MAIA_ARTIFACTS_DIR",
      "MAIA_ATTEMPT_DIR",
      "MAIA_ATTEMPT_ID",
      "MAIA_ATTEMPT_NO",
      "MAIA_INPUT_PATH",
      "MAIA_OUTPUT_PATH",
      "MAIA_RUN_DIR",
      "MAIA_RUN_ID",
      "MAIA_STEP_KEY",
      "MAIA_WORKFLOW_ID",
      "PATH",
      "TZ",
    ];
    expect(data.names).toEqual(given);
    await client.call("POST", `/v1/jobs/${victim.id}/cancel`, {});
  });
});
