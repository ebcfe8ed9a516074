import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { INNER_ID } from "./wrappers.js";

const COPIED = [
  "nsswitch.conf",
  "host.conf",
  "gai.conf",
  "localtime",
  "ld.so.cache",
  "ld.so.conf",
  "mime.types",
  "services",
  "protocols",
  "os-release",
];
/** Places for what is mounted from the machine, because it changes or is large. */
const MOUNTED = { folders: ["ssl", "pki", "ca-certificates", "alternatives"], files: ["resolv.conf", "hosts"] };

/** Writes the /etc that a step sees in the sandbox: names, certificates and libraries, and nobody's passwords. */
export function writeEtc(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const name of MOUNTED.folders) mkdirSync(`${folder}/${name}`, { recursive: true, mode: 0o755 });
  for (const name of MOUNTED.files) writeFileSync(`${folder}/${name}`, "");
  for (const name of COPIED) if (existsSync(`/etc/${name}`)) copyFileSync(`/etc/${name}`, `${folder}/${name}`);
  const home = "/maia/work";
  const users = ["root:x:0:0:root:/:/usr/sbin/nologin", `step:x:${INNER_ID}:${INNER_ID}:step:${home}:/bin/sh`];
  const nobody = "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin";
  writeFileSync(`${folder}/passwd`, `${[...users, nobody].join("\n")}\n`, { mode: 0o644 });
  writeFileSync(`${folder}/group`, `root:x:0:\nstep:x:${INNER_ID}:\nnogroup:x:65534:\n`, { mode: 0o644 });
}
