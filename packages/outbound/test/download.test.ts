import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "@jest/globals";
import { download, parseUrlAllow } from "../src/index.js";

const limits = { wireMax: 100_000, totalMs: 5_000, redirectsMax: 5 };
const sinks: Server[] = [];

/** A server on loopback that counts who connects. */
async function sink(listener: RequestListener | ((socket: Socket) => void), raw = false) {
  const server = raw ? createTcp(listener as (socket: Socket) => void) : createServer(listener as RequestListener);
  const sockets = new Set<Socket>();
  const seen = { connections: 0, requests: [] as IncomingMessage[], port: 0, sockets };
  server.on("connection", (socket: Socket) => {
    seen.connections++;
    sockets.add(socket.on("error", () => {}));
  });
  server.on("request", (request: IncomingMessage) => seen.requests.push(request));
  await once(server.listen(0, "127.0.0.1"), "listening");
  seen.port = (server.address() as { port: number }).port;
  sinks.push(server);
  server.on("close", () => sockets.clear());
  return seen;
}

afterEach(() => {
  for (const server of sinks.splice(0)) {
    server.close();
    if ("closeAllConnections" in server) (server.closeAllConnections as () => void)();
  }
});

const text = (body: string) => (_: IncomingMessage, response: ServerResponse) => response.end(body);
const goTo =
  (location: string, status = 302) =>
  (_: IncomingMessage, response: ServerResponse) =>
    response.writeHead(status, { location }).end();

async function collect(bytes: AsyncIterable<Uint8Array>) {
  let length = 0;
  let start = "";
  for await (const chunk of bytes) {
    length += chunk.byteLength;
    if (start.length < 100) start += new TextDecoder().decode(chunk);
  }
  return { length, start };
}

function fetchFrom(
  port: number,
  more: { path?: string; allow?: string; limits?: object; resolve?: () => Promise<string[]>; host?: string } = {},
) {
  const allow = parseUrlAllow(more.allow ?? `127.0.0.1:${port}`);
  const url = `http://${more.host ?? "127.0.0.1"}:${port}${more.path ?? "/"}`;
  return download(url, {
    limits: { ...limits, ...more.limits },
    allow,
    sink: collect,
    ...(more.resolve ? { resolve: more.resolve } : {}),
  });
}

describe("a download", () => {
  it("streams the raw body into the sink and tells its type", async () => {
    const server = await sink((_, response) =>
      response.writeHead(200, { "content-type": "Text/CSV; charset=utf-8" }).end("a,b\n1,2\n"),
    );
    expect(await fetchFrom(server.port)).toEqual({ length: 8, start: "a,b\n1,2\n", mime: "text/csv" });
    const [request] = server.requests;
    expect(request!.headers).toMatchObject({
      "accept-encoding": "identity",
      host: `127.0.0.1:${server.port}`,
      connection: "close",
    });
    expect(request!.headers.authorization ?? request!.headers.cookie).toBeUndefined();
  });

  it("connects to the addresses that were checked, and asks for the name", async () => {
    const server = await sink(text("hi"));
    const options = { host: "files.example", allow: "files.example", resolve: async () => ["127.0.0.1"] };
    expect(await fetchFrom(server.port, options)).toMatchObject({ start: "hi" });
    expect(server.requests[0]!.headers.host).toBe(`files.example:${server.port}`);
  });

  it("follows redirects, checking each hop", async () => {
    const end = await sink(text("there"));
    const first = await sink(goTo(`http://127.0.0.1:${end.port}/x`, 307));
    const allow = `127.0.0.1:${first.port} 127.0.0.1:${end.port}`;
    expect(await fetchFrom(first.port, { allow })).toMatchObject({ start: "there" });
  });
});

describe("a blocked target", () => {
  it("sees no connection, whether addressed directly or by name (B077, B079)", async () => {
    const secret = await sink(text("secret"));
    for (const host of ["127.0.0.1", "localhost", "localhost.", "0x7f.1", "2130706433", "0", "[::ffff:127.0.0.1]"]) {
      await expect(fetchFrom(secret.port, { host, allow: "" })).rejects.toMatchObject({ code: "URL_BLOCKED" });
    }
    const rebinding = { host: "evil.example", allow: `93.184.216.34:${secret.port}` };
    const both = fetchFrom(secret.port, { ...rebinding, resolve: async () => ["93.184.216.34", "127.0.0.1"] });
    await expect(both).rejects.toMatchObject({ code: "URL_BLOCKED" });
    expect(secret.connections).toBe(0);
  });

  it("is not reached by a name that resolves to something else once it was checked (B079)", async () => {
    const secret = await sink(text("secret"));
    const answers = [["127.0.0.2"], ["127.0.0.1"]];
    const resolve = async () => answers.shift() ?? ["127.0.0.1"];
    const moved = fetchFrom(secret.port, { host: "evil.example", allow: `127.0.0.2:${secret.port}`, resolve });
    await expect(moved).rejects.toThrow(/ECONNREFUSED/);
    expect([secret.connections, answers.length]).toEqual([0, 1]);
  });

  it("is not reached by a redirect, to an address, a scheme or a socket file (B080)", async () => {
    const secret = await sink(text("secret"));
    const places = [
      `http://127.0.0.1:${secret.port}/`,
      `//127.0.0.1:${secret.port}/`,
      "file:///etc/passwd",
      "http://unix:/run/x.sock:/",
      "unix:/x",
    ];
    for (const place of places) {
      const open = await sink(goTo(place));
      await expect(fetchFrom(open.port)).rejects.toMatchObject({ code: "URL_BLOCKED" });
    }
    expect(secret.connections).toBe(0);
  });
});

describe("a hostile server (B080, B083)", () => {
  it("cannot lead in circles", async () => {
    const server = await sink((request, response) => goTo(`${request.url}x`)(request, response));
    await expect(fetchFrom(server.port)).rejects.toMatchObject({
      code: "URL_BLOCKED",
      message: "More than 5 redirects",
    });
    expect(server.requests).toHaveLength(6);
  });

  it("cannot fill the disk with an endless body, announced or not", async () => {
    const endless = await sink((_, response) => {
      const pour = () => {
        while (response.write(Buffer.alloc(10_000)));
        response.once("drain", pour);
      };
      pour();
    });
    await expect(fetchFrom(endless.port)).rejects.toMatchObject({ code: "TOO_LARGE" });
    const announced = await sink(
      (_, response) => void response.writeHead(200, { "content-length": 100_001 }).flushHeaders(),
    );
    await expect(fetchFrom(announced.port)).rejects.toMatchObject({
      code: "TOO_LARGE",
      message: "It is larger than 100000 bytes",
    });
  });

  it("cannot keep us waiting: silent, slow, or redirecting with a body that never ends", async () => {
    const silent = await sink(() => {});
    await expect(fetchFrom(silent.port, { limits: { totalMs: 200 } })).rejects.toThrow("It took longer than 200 ms");
    const dripping = await sink((_, response) => {
      const drip = setInterval(() => response.write("x"), 20);
      response.once("close", () => clearInterval(drip));
    });
    await expect(fetchFrom(dripping.port, { limits: { totalMs: 300 } })).rejects.toThrow("It took longer than 300 ms");
    const stalled = await sink((_, response) => void response.write("half"));
    await expect(fetchFrom(stalled.port, { limits: { idleMs: 100 } })).rejects.toThrow(/Timeout/);
    const bomb = await sink((request, response) => {
      if (request.url !== "/") return response.end("done");
      response.writeHead(302, { location: "/next" });
      const pour = setInterval(() => response.write(Buffer.alloc(50_000)), 1);
      response.once("close", () => clearInterval(pour));
    });
    expect(await fetchFrom(bomb.port)).toMatchObject({ start: "done" });
  });

  it("cannot make us unpack anything", async () => {
    const gzip = gzipSync(Buffer.alloc(50_000_000));
    const server = await sink((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzip));
    await expect(fetchFrom(server.port)).rejects.toThrow("The server sent it encoded (gzip), though asked not to");
  });

  it("cannot pass off a broken body or a failure as a file", async () => {
    const short = await sink((socket: Socket) => {
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort");
    }, true);
    await expect(fetchFrom(short.port)).rejects.toThrow();
    const failing = await sink((_, response) => response.writeHead(503).end("come back later"));
    await expect(fetchFrom(failing.port)).rejects.toThrow("The server answered 503");
    const nonsense = await sink((socket: Socket) => void socket.end("SSH-2.0-OpenSSH\r\n"), true);
    await expect(fetchFrom(nonsense.port)).rejects.toThrow();
    const headers = await sink(
      (socket: Socket) => void socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`),
      true,
    );
    await expect(fetchFrom(headers.port)).rejects.toThrow(/overflow/i);
  });
});

describe("giving up", () => {
  it("follows the caller's signal and the sink's failure", async () => {
    const server = await sink((_, response) => void response.write("x"));
    const stop = new AbortController();
    const options = { limits, allow: parseUrlAllow("127.0.0.1") };
    const waiting = download(`http://127.0.0.1:${server.port}/`, { ...options, signal: stop.signal, sink: collect });
    stop.abort(new Error("the engine stops"));
    await expect(waiting).rejects.toThrow("the engine stops");
    const full = async () => {
      throw new Error("the disk is full");
    };
    await expect(download(`http://127.0.0.1:${server.port}/`, { ...options, sink: full })).rejects.toThrow(
      "the disk is full",
    );
  });

  it("says which name could not be looked up", async () => {
    const resolve = async () => {
      throw Object.assign(new Error("x"), { syscall: "getaddrinfo", hostname: "nowhere.example", code: "ENOTFOUND" });
    };
    const gone = download("http://nowhere.example/", { limits, allow: parseUrlAllow(""), sink: collect, resolve });
    await expect(gone).rejects.toThrow("nowhere.example could not be looked up (ENOTFOUND)");
  });
});

describe("a source that fails", () => {
  const whole = Buffer.from(Array.from({ length: 5_000 }, (_, i) => `line ${i}\n`).join(""));
  const retryMs = [1, 1, 1];

  /** Serves the whole, and breaks off after `cuts[n]` bytes in its n-th answer. */
  function breaking(cuts: readonly number[], etag: string | null, honest = true) {
    let answers = 0;
    return (request: IncomingMessage, response: ServerResponse) => {
      const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
      const from = range && honest && request.headers["if-range"] === etag ? Number(range[1]) : 0;
      const headers = { "content-length": whole.length - from, ...(etag ? { etag } : {}) };
      if (from > 0) response.writeHead(206, { ...headers, "content-range": `bytes ${from}-${whole.length - 1}/*` });
      else response.writeHead(200, headers);
      const cut = cuts[answers++];
      if (cut === undefined) response.end(whole.subarray(from));
      else response.write(whole.subarray(from, from + cut), () => setImmediate(() => request.socket.destroy()));
    };
  }

  async function keep(port: number, more: object = {}) {
    let begun = 0;
    const progress: (number | null)[][] = [];
    const kept = await download(`http://127.0.0.1:${port}/`, {
      limits,
      retryMs,
      allow: parseUrlAllow(`127.0.0.1:${port}`),
      progress: (received, total) => progress.push([received, total]),
      sink: async (bytes) => {
        begun += 1;
        const parts: Uint8Array[] = [];
        for await (const part of bytes) parts.push(part);
        return { bytes: Buffer.concat(parts) };
      },
      ...more,
    });
    return { bytes: kept.bytes, begun, progress };
  }

  it("is taken up where it broke off, once it has proved that its content is the same (F54)", async () => {
    const server = await sink(breaking([10_000, 20_000], '"v1"'));
    const { bytes, begun, progress } = await keep(server.port);
    expect(bytes.equals(whole)).toBe(true);
    expect([begun, server.requests.length]).toEqual([1, 3]);
    expect(server.requests[2]!.headers).toMatchObject({ "if-range": '"v1"' });
    expect(Number(/\d+/.exec(server.requests[2]!.headers.range!)![0])).toBeGreaterThan(0);
    expect(progress.at(-1)).toEqual([whole.length, whole.length]);
  });

  it.each([
    ["says nothing by which to know it again", null, true],
    ["has only a weak validator", 'W/"v1"', true],
    ["ignores where it was asked to go on", '"v1"', false],
  ])("is begun anew where it %s (F54)", async (_, etag, honest) => {
    const server = await sink(breaking([10_000], etag, honest));
    const { bytes, begun } = await keep(server.port);
    expect(bytes.equals(whole)).toBe(true);
    expect(begun).toBe(2);
  });

  it("that goes on at another place is not believed (F54)", async () => {
    const liar = (request: IncomingMessage, response: ServerResponse) => {
      if (request.headers.range)
        response.writeHead(206, { "content-range": "bytes 5-9/10", etag: '"v1"' }).end("wrong");
      else {
        response.writeHead(200, { etag: '"v1"', "content-length": "100" });
        response.write("x".repeat(50), () => setImmediate(() => request.socket.destroy()));
      }
    };
    const server = await sink(liar);
    await expect(keep(server.port)).rejects.toThrow();
    expect(server.requests.length).toBeLessThanOrEqual(1 + 2 * retryMs.length);
  });

  it.each([503, 429, 500])("with %i is asked again, so often and no more (F54)", async (status) => {
    let answers = 0;
    const busy = await sink((_, response) => response.writeHead(answers++ < 2 ? status : 200).end("at last"));
    expect((await keep(busy.port)).bytes.toString()).toBe("at last");
    const never = await sink((_, response) => response.writeHead(status).end());
    await expect(keep(never.port)).rejects.toThrow(`answered ${status}`);
    expect(never.requests).toHaveLength(1 + retryMs.length);
  });

  it("with an answer that will not change is not asked again", async () => {
    const missing = await sink((_, response) => response.writeHead(404).end());
    await expect(keep(missing.port)).rejects.toThrow("answered 404");
    const large = await sink((_, response) => response.end("x".repeat(limits.wireMax + 1)));
    await expect(keep(large.port)).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect([missing.requests.length, large.requests.length]).toEqual([1, 1]);
  });

  it("is not waited for once the caller has left", async () => {
    const leave = new AbortController();
    const server = await sink((_, response) => {
      response.writeHead(503).end();
      leave.abort(new Error("the caller left"));
    });
    await expect(keep(server.port, { retryMs: [3_600_000], signal: leave.signal })).rejects.toThrow("the caller left");
  });
});
