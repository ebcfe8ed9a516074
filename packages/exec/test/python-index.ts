import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { zipOf } from "./zip.ts";

/** An index of Python packages with wheels that a test makes, on a port that the kernel gives. */
export class PythonIndex implements AsyncDisposable {
  private readonly files = new Map<string, { project: string; bytes: Buffer; sha256: string }>();
  private readonly server: Server;
  /** Paths that were asked for. */
  readonly asked: string[] = [];

  private constructor() {
    this.server = createServer((req, res) => {
      const path = req.url ?? "";
      this.asked.push(path);
      const [status, type, body] = this.answer(path);
      res.writeHead(status, { "content-type": type, "content-length": body.length }).end(body);
    });
  }

  static async open(): Promise<PythonIndex> {
    const index = new PythonIndex();
    await new Promise<void>((resolve) => index.server.listen(0, "127.0.0.1", resolve));
    return index;
  }

  private get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/simple/`;
  }

  /** Publishes a wheel: of one module that has the name of the project and the code that is given, or of files. */
  publish(
    name: string,
    version: string,
    content: string | Readonly<Record<string, string>> = `VERSION = ${JSON.stringify(version)}`,
    requires: readonly string[] = [],
  ): void {
    const files = typeof content === "string" ? { [`${name}.py`]: `${content}\n` } : content;
    this.put(name, `${name}-${version}-py3-none-any.whl`, wheel(name, version, files, requires));
  }

  /** Publishes a file as it is. */
  put(project: string, file: string, bytes: Buffer): void {
    this.files.set(file, { project, bytes, sha256: createHash("sha256").update(bytes).digest("hex") });
  }

  private answer(path: string): [status: number, type: string, body: Buffer] {
    const [, kind, name = ""] = /^\/(simple|files)\/([^/]+)\/?$/.exec(decodeURIComponent(path)) ?? [];
    if (kind === "files") return [200, "application/octet-stream", this.files.get(name)!.bytes];
    const found = [...this.files].filter(([, { project }]) => project === name);
    if (found.length === 0) return [404, "text/plain", Buffer.from("not found")];
    const links = found.map(
      ([file, { sha256 }]) => `<a href="${this.origin}/files/${file}#sha256=${sha256}">${file}</a>`,
    );
    return [200, "text/html", Buffer.from(`<!DOCTYPE html><html><body>${links.join("\n")}</body></html>`)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function wheel(
  name: string,
  version: string,
  files: Readonly<Record<string, string>>,
  requires: readonly string[],
): Buffer {
  const info = `${name}-${version}.dist-info`;
  const metadata = ["Metadata-Version: 2.1", `Name: ${name}`, `Version: ${version}`];
  const about = ["Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: true", "Tag: py3-none-any"];
  const all = {
    ...files,
    [`${info}/METADATA`]: [...metadata, ...requires.map((one) => `Requires-Dist: ${one}`), ""].join("\n"),
    [`${info}/WHEEL`]: [...about, ""].join("\n"),
  };
  const record = [...Object.keys(all), `${info}/RECORD`].map((path) => `${path},,\n`).join("");
  return zipOf({ ...all, [`${info}/RECORD`]: record });
}
