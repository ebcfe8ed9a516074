import { readFile } from "node:fs/promises";

/** Finds every package of a pnpm lock file: the keys `name@version` of its section `packages`. */
export default async function parse({ files }) {
  const [file] = files;
  console.log(`reading ${file.name}, ${file.sizeBytes} bytes`);
  const text = await readFile(file.path, "utf8");
  const section = text.split(/^packages:$/m)[1]?.split(/^\S/m)[0];
  if (section === undefined) throw new Error(`${file.name} has no section "packages": is it a pnpm-lock.yaml?`);

  const packages = [];
  for (const [, key] of section.matchAll(/^ {2}'?((?:@[^/'\n]+\/)?[^'@\n]+@[^'\n]+?)'?:$/gm)) {
    const at = key.lastIndexOf("@");
    packages.push({ name: key.slice(0, at), version: key.slice(at + 1) });
  }
  console.log(`found ${packages.length} packages`);
  return { fileName: file.name, count: packages.length, packages };
}
