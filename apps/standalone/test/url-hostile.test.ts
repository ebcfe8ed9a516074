import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Deployment } from "./support/deployments.ts";
import { forgetPeak, MIB, memoryOf } from "./support/large-files.ts";
import { WebServer } from "./support/listeners.ts";
import { temporaryFolder } from "./support/processes.ts";
import { fetchInJob, unfinishedFiles } from "./support/url-job.ts";

const HOST = "127.0.0.1";
const WIRE_MAX = 200_000;
const TOTAL_MS = 1_500;

let web: WebServer;
let tls: Server;
let maia: Deployment;
let folder: { path: string } & AsyncDisposable;
let base: string;

beforeAll(async () => {
  web = await WebServer.at(HOST);
  folder = await temporaryFolder("certificate");
  tls = await selfSigned(folder.path);
  base = `http://${HOST}:${web.port}`;
  maia = await Deployment.start("local", {
    MAIA_URL_ALLOW: HOST,
    MAIA_URL_RETRIES: "1",
    MAIA_URL_RETRY_MS: "1",
    MAIA_URL_TOTAL_MS: String(TOTAL_MS),
    MAIA_URL_WIRE_MAX: String(WIRE_MAX),
  });
  await maia.client.apply({ name: "files", reuse: true, steps: [{ key: "a", script: "export default () => ({})" }] });
  web.on("/good", (_, response) => response.end("good"));
});

afterAll(async () => {
  await maia?.[Symbol.asyncDispose]();
  await web?.[Symbol.asyncDispose]();
  tls?.close();
  await folder?.[Symbol.asyncDispose]();
});

async function selfSigned(dir: string): Promise<Server> {
  const [keyFile, certFile] = [path.join(dir, "key.pem"), path.join(dir, "cert.pem")];
  const subject = ["-subj", "/CN=elsewhere.example", "-days", "1"];
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", keyFile, "-out", certFile, ...subject],
  ]);
  const server = createServer({ key: await readFile(keyFile), cert: await readFile(certFile) }, (_, response) =>
    response.end("secret"),
  );
  await once(server.listen(0, HOST), "listening");
  return server;
}

/** Writes a beginning, and then without end, as fast as it is taken, until the other side leaves. */
function pour(socket: Socket, piece: string, beginning: string): void {
  socket.write(beginning);
  const go = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("error", () => {}).on("drain", go);
  go();
}

/** Writes a beginning, and then a little every few milliseconds, until the other side leaves. */
function drip(socket: Socket, piece: string, beginning = ""): void {
  socket.write(beginning);
  const timer = setInterval(() => socket.write(piece), 20);
  socket.on("error", () => {}).on("close", () => clearInterval(timer));
}

const OK = "HTTP/1.1 200 OK\r\n";
const bomb = gzipSync(Buffer.alloc(50 * MIB));

/** What a server may do to who asks it, and how a user hears of it. */
const HOSTILE: Record<string, readonly [answer: (socket: Socket) => void, reason: RegExp]> = {
  "a body without end": [(socket) => pour(socket, "x".repeat(60_000), `${OK}\r\n`), /larger than 200000 bytes/],
  "chunks without end": [
    (socket) => pour(socket, `ea60\r\n${"x".repeat(60_000)}\r\n`, `${OK}transfer-encoding: chunked\r\n\r\n`),
    /larger than 200000 bytes/,
  ],
  "a length above the limit": [(socket) => socket.write(`${OK}content-length: 200001\r\n\r\n`), /larger than 200000/],
  "a byte now and then": [(socket) => drip(socket, "x", `${OK}\r\n`), /longer than 1500 ms/],
  "fewer bytes than it announced": [
    (socket) => socket.end(`${OK}content-length: 100\r\n\r\nshort`),
    /aborted|content-length|reset|closed/i,
  ],
  "more bytes than it announced": [(socket) => socket.end(`${OK}content-length: 4\r\n\r\nsome and more`), /Parse/],
  "a length that is none": [(socket) => socket.end(`${OK}content-length: -5\r\n\r\nx`), /Content-Length|Parse/i],
  "two lengths": [
    (socket) => socket.end(`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`),
    /Content-Length|Parse/i,
  ],
  "a length, and chunks too": [
    (socket) => socket.end(`${OK}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`),
    /Transfer-Encoding|Content-Length|Parse/i,
  ],
  "chunks that break off": [
    (socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\nff\r\nx`),
    /aborted|closed|reset/i,
  ],
  "a gzip bomb": [
    (socket) => {
      socket.write(`${OK}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
      socket.end(bomb);
    },
    /encoded \(gzip\)|larger than/,
  ],
  "fifty encodings": [
    (socket) => socket.end(`${OK}content-encoding: ${Array(50).fill("gzip").join(", ")}\r\n\r\nx`),
    /encoded \(gzip, gzip/,
  ],
  "headers of a hundred megabytes": [(socket) => pour(socket, `x-${"y".repeat(1_000)}: z\r\n`, OK), /overflow/i],
  "ten thousand headers": [(socket) => socket.end(`${OK}${"x-header: value\r\n".repeat(10_000)}\r\nx`), /overflow/i],
  "one header that never ends": [(socket) => drip(socket, "y", `${OK}x: `), /longer than 1500/],
  "early hints without end": [(socket) => drip(socket, "HTTP/1.1 103 Early Hints\r\n\r\n"), /longer than 1500 ms/],
  "no answer": [(socket) => void socket.on("error", () => {}), /longer than 1500 ms/],
  "a closed door": [(socket) => socket.destroy(), /hang up|reset/i],
  "another protocol": [(socket) => socket.end("SSH-2.0-OpenSSH_9.9\r\n"), /Parse/i],
  "a redirect with a body without end": [
    (socket) => pour(socket, "x".repeat(60_000), "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\n\r\n"),
    /10\.0\.0\.1 is not a public address/,
  ],
  "a part that nobody asked for": [
    (socket) =>
      socket.end("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5\r\n\r\nwrong"),
    /answered 206/,
  ],
  "that there is nothing": [
    (socket) => socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
    /answered 404/,
  ],
};

describe("a server that answers with", () => {
  it.each(Object.entries(HOSTILE))(
    "%s fails the file, with the URL and the reason, and no more (B083, F54)",
    async (what, [answer, reason]) => {
      const { pid } = maia.part("up");
      expect(await fetchInJob(maia.client, `${base}/good`)).toMatchObject({ status: "SUCCEEDED" });
      const { now } = await memoryOf(pid);
      await forgetPeak(pid);
      const place = `/${encodeURIComponent(what)}`;
      web.raw(place, answer);
      const outcome = await fetchInJob(maia.client, base + place);
      expect([outcome.status, outcome.code]).toEqual(["FAILED", "INPUT_DOWNLOAD_FAILED"]);
      expect(outcome.error).toMatch(reason);
      expect(outcome.error).toContain(`${base}${place}: `);
      expect((await memoryOf(pid)).peak - now).toBeLessThan(48 * MIB);
      expect(await unfinishedFiles(maia)).toEqual([]);
      expect((await fetch(`${maia.url}/readyz`)).status).toBe(200);
      expect(await fetchInJob(maia.client, `${base}/good`)).toMatchObject({ status: "SUCCEEDED" });
    },
  );

  it("a certificate that nobody vouches for fails the file (B083)", async () => {
    const { port } = tls.address() as { port: number };
    const outcome = await fetchInJob(maia.client, `https://${HOST}:${port}/`);
    expect([outcome.status, outcome.code]).toEqual(["FAILED", "INPUT_DOWNLOAD_FAILED"]);
    expect(outcome.error).toMatch(/self-signed certificate/);
  });

  it.each([
    'attachment; filename="../../x"',
    "attachment; filename*=UTF-8''a%0D%0Ab%2F..%2Fc",
    'inline; filename="/etc/passwd"',
    `attachment; filename="${"x".repeat(300)}"`,
  ])("Content-Disposition: %s has no say in where a file lies or what it is called (B085)", async (disposition) => {
    const names: [url: string, name: string, place: RegExp][] = [
      ["/files/report.csv?x=1", "report.csv", /^inputs\/0-report\.csv$/],
      ["/a%2F..%2F..%2Fetc%2Fpasswd", "", /^inputs\/0-[\w.%-]+$/],
      ["/%0D%0Aset-cookie", "", /^inputs\/0-[\w.%-]+$/],
      ["/..%5C..%5Cx", "", /^inputs\/0-[\w.%-]+$/],
    ];
    for (const [place, name, path] of names) {
      web.on(place, (_, response) => response.setHeader("content-disposition", disposition).end("x"));
      const { status, file, input } = await fetchInJob(maia.client, base + place);
      expect(status).toBe("SUCCEEDED");
      if (name) expect(file!.name).toBe(name);
      expect(file!.name).not.toMatch(/[/\\\r\n]/);
      expect(input.files[0]!.path).toMatch(path);
    }
  });
});

describe("a job", () => {
  const post = (urls: string[], workflow = "files") =>
    maia.client.call<{ id: string; code: string; detail: string }>("POST", "/v1/jobs", {
      workflow,
      urlFiles: urls.map((url) => ({ url })),
    });

  it("has no ten thousand URLs, the same a thousand times, nor one of 64 KB (B086)", async () => {
    const many = await post(Array.from({ length: 10_000 }, (_, i) => `${base}/${i}`));
    const same = await post(Array.from({ length: 1_000 }, () => `${base}/good`));
    const long = await post([`${base}/${"a".repeat(65_536)}`]);
    expect([many.status, same.status, long.status]).toEqual([422, 422, 422]);
    expect(long.body.detail).toMatch(/at most 8192 characters/);
  });

  it("may have the same URL several times: several files of one content (B086)", async () => {
    const { status, body } = await post(Array.from({ length: 10 }, () => `${base}/good`));
    expect(status).toBe(201);
    const run = await maia.client.finished(body.id);
    const files = (run as unknown as { inputs: { sha256: string }[] }).inputs;
    expect([run.status, files.length, new Set(files.map(({ sha256 }) => sha256)).size]).toEqual(["SUCCEEDED", 10, 1]);
  });
});
