import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { parseUrlAllow, testConnection } from "../src/index.js";

let server: Server;
let port: number;
let connections = 0;
let received = 0;

beforeEach(async () => {
  connections = received = 0;
  server = createServer((socket) => {
    connections++;
    socket
      .on("error", () => {})
      .on("data", (chunk) => {
        received += chunk.length;
      });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  port = (server.address() as { port: number }).port;
});
afterEach(() => void server.close());

const allow = parseUrlAllow("127.0.0.0/8");

describe("a connectivity test (G25)", () => {
  it("opens one connection and sends nothing", async () => {
    expect(await testConnection({ host: "127.0.0.1", port, timeoutMs: 2_000, allow })).toEqual({
      result: "SUCCESS",
      host: "127.0.0.1",
      port,
    });
    await new Promise((resolve) => server.close(resolve));
    expect([connections, received]).toEqual([1, 0]);
  });

  it("answers TIMEOUT with the reason when it is refused, silent or unknown", async () => {
    const unused = createServer().listen(0, "127.0.0.1");
    await once(unused, "listening");
    const free = (unused.address() as { port: number }).port;
    unused.close();
    await once(unused, "close");
    const refused = await testConnection({ host: "127.0.0.1", port: free, timeoutMs: 2_000, allow });
    expect(refused).toMatchObject({ result: "TIMEOUT", detail: expect.stringContaining("ECONNREFUSED") });

    const resolve = async () => {
      throw Object.assign(new Error(), { code: "ENOTFOUND" });
    };
    const unknown = await testConnection({ host: "db.lan", port: 5432, timeoutMs: 2_000, resolve });
    expect(unknown).toEqual({
      result: "TIMEOUT",
      host: "db.lan",
      port: 5432,
      detail: "db.lan could not be looked up (ENOTFOUND)",
    });

    const never = () => new Promise<string[]>(() => {});
    const silent = await testConnection({ host: "db.lan", port: 5432, timeoutMs: 50, resolve: never });
    expect(silent.detail).toBe("db.lan could not be looked up within 50 ms");
  });

  it.each([
    "127.0.0.1",
    "2130706433",
    "::1",
    "169.254.169.254",
    "fe80::1",
    "0.0.0.0",
    "100.100.100.200",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
  ])("refuses %s", async (host) => {
    await expect(testConnection({ host, port, timeoutMs: 500 })).rejects.toMatchObject({ code: "URL_BLOCKED" });
    expect(connections).toBe(0);
  });

  it("refuses a name that leads to loopback, and takes private ranges", async () => {
    const at = (address: string) => ({ resolve: async () => [address] });
    await expect(testConnection({ host: "x.lan", port, timeoutMs: 500, ...at("127.0.0.1") })).rejects.toMatchObject({
      code: "URL_BLOCKED",
    });
    const tried = await testConnection({ host: "x.lan", port, timeoutMs: 50, ...at("10.255.255.1") });
    expect(tried).toMatchObject({ result: "TIMEOUT", detail: expect.any(String) });
    await expect(testConnection({ host: "x.lan", port: 70_000, timeoutMs: 50 })).rejects.toThrow(
      "70000 is no TCP port",
    );
  });
});
