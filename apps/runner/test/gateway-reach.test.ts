import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { isExcluded } from "../src/gateway/reach.js";
import { ConnectProxy } from "./support/connect-proxy.js";
import { DialerHome, type Env, openTestDialer, type TestDialer } from "./support/dialer.js";
import { TestGateway } from "./support/gateway.js";
import { until } from "./support/runner.js";
import { aTask } from "./support/tasks.js";

let folder: string;
let tls: { cert: string; key: string };
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });

/** A private authority, and a certificate of it for 127.0.0.1. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "maia-ca-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=A private authority",
  );
  openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=gateway");
  writeFileSync(at("names"), "subjectAltName=IP:127.0.0.1\n");
  const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"];
  openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", ...sign);
  writeFileSync(at("ca.cer"), new X509Certificate(readFileSync(at("ca.pem"))).raw);
  writeFileSync(at("empty.crt"), "nothing\n");
  tls = { cert: readFileSync(at("server.pem"), "utf8"), key: readFileSync(at("server.key"), "utf8") };
});
afterAll(() => rmSync(folder, { recursive: true }));

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
function use<T extends AsyncDisposable>(one: T): T {
  open.push(one);
  return one;
}
const dial = async (gateway: TestGateway, env: Env): Promise<TestDialer> => use(await openTestDialer(gateway.url, env));

async function bringsAnEnd(gateway: TestGateway, dialer: TestDialer): Promise<void> {
  const task = gateway.offer(aTask());
  dialer.executor.play(task.attemptId).exit();
  await until("the end is confirmed", () => gateway.exitOf(task.attemptId) !== null);
}

describe("the way to a gateway", () => {
  it.each(["ca.pem", "ca.cer"])("trusts a private authority whose certificate is in %s", async (file) => {
    const gateway = use(await TestGateway.open(tls));
    await bringsAnEnd(gateway, await dial(gateway, { CUSTOM_CERT_LOCATION: at(file) }));
  });

  it("trusts nobody else, says why, and sends no secret", async () => {
    const gateway = use(await TestGateway.open(tls));
    const runner = use(await DialerHome.open()).start(gateway.url);
    await until("it says so", () => /cannot be reached.*(UNABLE_TO_VERIFY|SELF_SIGNED)/.test(runner.said()));
    expect(gateway.exchanges).toEqual([]);
  });

  it.each([
    ["empty.crt", "it holds no certificate"],
    ["missing.pem", "the file cannot be read"],
  ])("is refused with a file of certificates that is none: %s", async (file, why) => {
    const runner = use(await DialerHome.open()).start("https://127.0.0.1:1", { CUSTOM_CERT_LOCATION: at(file) });
    const { code, stderr } = await runner.ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(new RegExp(`CUSTOM_CERT_LOCATION is .*${file}: ${why}`));
  });

  it("goes through a proxy to a gateway behind TLS, polls and content and all", async () => {
    const [gateway, proxy] = [use(await TestGateway.open(tls)), use(await ConnectProxy.open("me:p@ss"))];
    const env = { PROXY_HTTPS: `http://me:p%40ss@${proxy.address}`, CUSTOM_CERT_LOCATION: at("ca.pem") };
    await bringsAnEnd(gateway, await dial(gateway, env));
    expect(new Set(proxy.tunnels)).toEqual(new Set([`127.0.0.1:${gateway.port}`]));
  });

  it("goes through a proxy to a gateway without TLS", async () => {
    const [gateway, proxy] = [use(await TestGateway.open()), use(await ConnectProxy.open())];
    await bringsAnEnd(gateway, await dial(gateway, { PROXY_HTTP: proxy.address }));
    expect(proxy.tunnels.length).toBeGreaterThan(0);
  });

  it("says so when the proxy refuses, and goes on trying", async () => {
    const [gateway, proxy] = [use(await TestGateway.open()), use(await ConnectProxy.open("me:pass"))];
    const runner = use(await DialerHome.open()).start(gateway.url, { PROXY_HTTP: `http://me:wrong@${proxy.address}` });
    await until("it says so", () => /cannot be reached.*407/.test(runner.said()));
    await until("it has tried again", () => proxy.refused >= 2);
    expect(runner.said()).not.toContain("wrong");
  });

  it("leaves the proxy out where the host is excluded", async () => {
    const [gateway, proxy] = [use(await TestGateway.open()), use(await ConnectProxy.open())];
    const env = { PROXY_HTTP: proxy.address, PROXY_EXCLUDES: "*.internal|127.0.0.*" };
    await bringsAnEnd(gateway, await dial(gateway, env));
    expect(proxy.tunnels).toEqual([]);
  });

  it.each([
    ["maia.internal", "*.internal", true],
    ["maia.internal.example", "*.internal", false],
    ["MAIA.example", "maia.example", true],
    ["maiaXexample", "maia.example", false],
    ["[::1]", "::1", true],
    ["10.1.2.3", "10.*", true],
  ])("takes %s for excluded by %s: %s", (host, pattern, is) => {
    expect(isExcluded(host, ["other", pattern])).toBe(is);
  });
});
