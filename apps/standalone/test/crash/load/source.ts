import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const SIZE = 200_000;

/** A source of files on loopback that breaks off now and then, and goes on where it is asked to. */
export class Source implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    const bytes = contentOf(request.url ?? "/");
    const etag = `"${sha256Of(bytes)}"`;
    const from =
      request.headers["if-range"] === etag ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1]) : 0;
    const head = { etag, "content-length": bytes.length - from };
    if (from > 0)
      response.writeHead(206, { ...head, "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
    else response.writeHead(200, head);
    const rest = bytes.subarray(from);
    if (this.#random() < 0.4) response.write(rest.subarray(0, rest.length >> 1), () => request.socket.destroy());
    else response.end(rest);
  });

  readonly #random: () => number;

  private constructor(random: () => number) {
    this.#random = random;
  }

  static async open(random: () => number): Promise<Source> {
    const source = new Source(random);
    await once(source.#server.listen(0, "127.0.0.1"), "listening");
    return source;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** A file's address, and the hash that its bytes must have. */
  file(name: string): { readonly url: string; readonly sha256: string } {
    return { url: `http://${this.host}/${name}`, sha256: sha256Of(contentOf(`/${name}`)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function contentOf(path: string): Buffer {
  return Buffer.alloc(SIZE, `${path} `);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
