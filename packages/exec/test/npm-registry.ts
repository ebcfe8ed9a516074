import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { tarOf } from "./tar.ts";

export interface Release {
  readonly version: string;
  /** The text of `index.js`; by default it exports its name and version. */
  readonly main?: string;
  /** Files beside it, by their path in the package. */
  readonly files?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Published {
  readonly manifest: object;
  readonly tarball: Buffer;
}

/** An npm registry with packages that a test makes, on a port that the kernel gives. */
export class NpmRegistry implements AsyncDisposable {
  private readonly packages = new Map<string, Map<string, Published>>();
  private readonly server: Server;
  private held: (() => void)[] | null = null;
  /** Paths that were asked for. */
  readonly asked: string[] = [];

  private constructor() {
    this.server = createServer((req, res) => {
      const path = decodeURIComponent(req.url ?? "");
      this.asked.push(path);
      const answer = () => {
        const [status, type, body] = this.answer(path);
        res.writeHead(status, { "content-type": type, "content-length": body.length }).end(body);
      };
      if (this.held) this.held.push(answer);
      else answer();
    });
  }

  static async open(): Promise<NpmRegistry> {
    const registry = new NpmRegistry();
    await new Promise<void>((resolve) => registry.server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  publish(name: string, { version, main, files: others = {}, scripts, dependencies = {} }: Release): void {
    const manifest = { name, version, main: "index.js", dependencies, ...(scripts ? { scripts } : {}) };
    const code = main ?? `module.exports = ${JSON.stringify({ name, version })};`;
    const files = { "package.json": JSON.stringify(manifest), "index.js": code, ...others };
    const packed = Object.entries(files).map(([path, text]) => [`package/${path}`, text]);
    const tarball = gzipSync(tarOf(Object.fromEntries(packed)));
    const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
    const dist = { integrity, tarball: `${this.url}${name}/-/${version}.tgz` };
    const hasInstallScript = scripts !== undefined;
    const releases = this.packages.get(name) ?? new Map<string, Published>();
    releases.set(version, { manifest: { ...manifest, dist, hasInstallScript }, tarball });
    this.packages.set(name, releases);
  }

  /** Gives other bytes for a release than its hash says. */
  corrupt(name: string, version: string): void {
    const release = this.packages.get(name)!.get(version)!;
    this.packages.get(name)!.set(version, { ...release, tarball: gzipSync(tarOf({ "package/package.json": "{}" })) });
  }

  /** Lets every request wait until `release`. */
  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const waiting = this.held ?? [];
    this.held = null;
    for (const answer of waiting) answer();
  }

  private answer(path: string): [status: number, type: string, body: Buffer] {
    const [, name = "", version] = /^\/((?:@[^/]+\/)?[^/]+)(?:\/-\/(.+)\.tgz)?$/.exec(path) ?? [];
    const releases = this.packages.get(name);
    if (!releases) return json(404, { error: "Not found" });
    if (version !== undefined) return [200, "application/octet-stream", releases.get(version)!.tarball];
    const versions = Object.fromEntries([...releases].map(([key, { manifest }]) => [key, manifest]));
    return json(200, { name, "dist-tags": { latest: [...releases.keys()].at(-1) }, versions });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function json(status: number, body: object): [number, string, Buffer] {
  return [status, "application/json", Buffer.from(JSON.stringify(body))];
}
