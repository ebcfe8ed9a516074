// Loaded into Maia before its own code: the version of the installed runner is what the file VERSION_FILE holds, which may
// change at any time, as when somebody installs another one over it. Of the version "broken" no runner starts.
import { readFileSync } from "node:fs";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const file = process.env.VERSION_FILE;
const isRunner = /\/runner\/dist\/main\.js$/.test(process.argv[1] ?? "");
if (isRunner && readFileSync(file, "utf8").trim() === "broken") process.exit(1);
const { readFile } = fs;
fs.readFile = async (path, ...options) => {
  const content = await readFile(path, ...options);
  if (!/\/apps\/runner\/package\.json$/.test(String(path))) return content;
  return JSON.stringify({ ...JSON.parse(content), version: (await readFile(file, "utf8")).trim() });
};
syncBuiltinESMExports();
