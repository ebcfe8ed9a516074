import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { diagnose, type Layer } from "../src/doctor/index.js";
import { ConnectProxy } from "./support/connect-proxy.js";
import { type Env, settings } from "./support/dialer.js";
import { TestGateway } from "./support/gateway.js";

let folder: string;
const at = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(at(name), "utf8");

const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });

/** A certificate that has signed itself, for these names; `openssl ca` alone makes one that is over already. */
function sign(name: string, names: string, ...times: string[]): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`];
  openssl("req", "-new", ...key, "-out", `${name}.csr`, "-subj", "/CN=gateway");
  writeFileSync(at("serial"), "01\n");
  writeFileSync(at("issued"), "");
  writeFileSync(at("names"), `subjectAltName=${names}\n`);
  const ca = ["-batch", "-selfsign", "-notext", "-config", "ca.cnf", "-keyfile", `${name}.key`, "-extfile", "names"];
  openssl("ca", ...ca, "-in", `${name}.csr`, "-out", `${name}.pem`, ...times);
}

const CA = `[ca]
default_ca = own
[own]
database = issued
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "maia-doctor-test-"));
  writeFileSync(at("ca.cnf"), CA);
  sign("here", "IP:127.0.0.1", "-days", "2");
  sign("elsewhere", "DNS:elsewhere.example", "-days", "2");
  sign("old", "IP:127.0.0.1", "-startdate", "20200101000000Z", "-enddate", "20200102000000Z");
});
afterAll(() => rmSync(folder, { recursive: true }));

let gateway: TestGateway;
const open: AsyncDisposable[] = [];
const use = <T extends AsyncDisposable>(one: T): T => {
  open.push(one);
  return one;
};
beforeEach(async () => {
  gateway = await listen();
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A gateway that also answers what the doctor asks. */
async function listen(certificate?: string, protocol = "1.0"): Promise<TestGateway> {
  const tls = certificate ? { cert: read(`${certificate}.pem`), key: read(`${certificate}.key`) } : null;
  const one = use(await TestGateway.open(tls));
  one.intercept = (_method, path) => {
    if (path === "/healthz") return [200, { status: "ok" }];
    return path === "/v1/gateway" ? [200, { protocol }] : null;
  };
  return one;
}

const look = (env: Env = {}, url = gateway.url) =>
  diagnose({ MAIA_ISOLATION: "process-group", ...settings(url, at("runner")), ...env });

/** What fails first, why, what to do, and that nothing above it is judged. */
async function expectTrouble(env: Env, url: string, layer: Layer, why: RegExp, fix: RegExp): Promise<void> {
  const { ok, firstFailure, findings } = await look(env, url);
  expect([ok, firstFailure]).toEqual([false, layer]);
  const failed = findings.find((finding) => finding.layer === layer)!;
  expect(failed.detail).toMatch(why);
  expect(failed.fix).toMatch(fix);
  const network: Layer[] = ["configuration", "dns", "tcp", "tls", "clock", "credentials", "protocol"];
  for (const above of network.slice(network.indexOf(layer) + 1))
    expect(findings.find((finding) => finding.layer === above)!.status).toBe("skipped");
}

describe("the doctor of a runner that dials out", () => {
  it("finds nothing where all is well, and leaves no instance behind", async () => {
    const { ok, firstFailure, findings } = await look();
    expect({ ok, firstFailure }).toEqual({ ok: true, firstFailure: null });
    expect(findings.map(({ layer, status }) => [layer, status])).toEqual([
      ["configuration", "ok"],
      ["dns", "skipped"],
      ["tcp", "ok"],
      ["tls", "skipped"],
      ["clock", "ok"],
      ["credentials", "ok"],
      ["protocol", "ok"],
      ["isolation", "ok"],
      ["disk", "ok"],
    ]);
    expect([gateway.hellos, gateway.polls]).toEqual([[], []]);
  });

  it.each([
    ["an address that is not set", { MAIA_GATEWAY_URL: "" }, /MAIA_GATEWAY_URL is not set/],
    ["a secret that is not set", { MAIA_CLIENT_SECRET: "" }, /MAIA_CLIENT_SECRET is not/],
    ["a file of certificates that is not there", { CUSTOM_CERT_LOCATION: "/nowhere.pem" }, /CUSTOM_CERT_LOCATION/],
  ])("names the configuration with %s", (_name, env, why) =>
    expectTrouble(env, gateway.url, "configuration", why, /Correct/),
  );

  it("names DNS with a name that nobody knows", () =>
    expectTrouble({}, "https://gateway.invalid", "dns", /gateway\.invalid cannot be looked up/, /MAIA_GATEWAY_URL/));

  it("names DNS with a proxy whose name nobody knows", () =>
    expectTrouble({ PROXY_HTTP: "proxy.invalid:3128" }, gateway.url, "dns", /proxy\.invalid/, /PROXY_HTTP/));

  it("names TCP with a port that nobody listens on", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    await expectTrouble({}, `http://127.0.0.1:${port}`, "tcp", /ECONNREFUSED/, /firewall/);
  });

  it("goes through the proxy, and names TCP where the proxy wants a user", async () => {
    const proxy = use(await ConnectProxy.open("ada:secret"));
    const tls = await listen("here");
    const trust = { CUSTOM_CERT_LOCATION: at("here.pem") };
    const known = await look({ ...trust, PROXY_HTTPS: `http://ada:secret@${proxy.address}` }, tls.url);
    expect([known.firstFailure, proxy.tunnels.length > 0]).toEqual([null, true]);
    expect(JSON.stringify(known)).not.toContain("ada:secret");
    await expectTrouble({ ...trust, PROXY_HTTPS: proxy.address }, tls.url, "tcp", /status 407/, /user:password/);
  });

  it("speaks TLS with a proxy that wants it, as the runner does, and names TCP where that proxy is not trusted", async () => {
    const certificate = { cert: read("here.pem"), key: read("here.key") };
    const proxy = use(await ConnectProxy.open(null, certificate));
    const through = { PROXY_HTTP: `https://${proxy.address}` };
    const known = await look({ ...through, CUSTOM_CERT_LOCATION: at("here.pem") });
    expect([known.firstFailure, proxy.tunnels.length > 0]).toEqual([null, true]);
    await expectTrouble(through, gateway.url, "tcp", /SELF_SIGNED/, /CUSTOM_CERT_LOCATION/);
  });

  it.each([
    ["an authority that nobody knows", "here", false, /SELF_SIGNED/, /CUSTOM_CERT_LOCATION/],
    ["a certificate for another name", "elsewhere", true, /ALTNAME/, /MAIA_GATEWAY_URL/],
    ["a certificate that is too old", "old", true, /EXPIRED/, /Renew/],
  ])("names TLS with %s", async (_name, certificate, isTrusted, why, fix) => {
    const tls = await listen(certificate);
    const env: Env = isTrusted ? { CUSTOM_CERT_LOCATION: at(`${certificate}.pem`) } : {};
    await expectTrouble(env, tls.url, "tls", why, fix);
    expect(tls.exchanges).toEqual([]);
  });

  it("names the clock where the gateway's is another", async () => {
    const { intercept } = gateway;
    gateway.intercept = (method, path, res: ServerResponse) => {
      res.setHeader("date", new Date(Date.now() + 600_000).toUTCString());
      return intercept(method, path, res);
    };
    await expectTrouble({}, gateway.url, "clock", /(599|600|601) s behind/, /chrony/);
  });

  it("says so where what answers is not Maia", async () => {
    gateway.intercept = () => [404, { message: "a page of somebody else" }];
    await expectTrouble({}, gateway.url, "clock", /no answer as Maia gives it \(.*404/, /MAIA_GATEWAY_URL/);
  });

  it("names the credentials with a wrong secret", () =>
    expectTrouble(
      { MAIA_CLIENT_SECRET: "another" },
      gateway.url,
      "credentials",
      /refuses/,
      /maia runners credentials/,
    ));

  it("names the protocol where the gateway speaks an older one", async () => {
    const old = await listen(undefined, "0.9");
    await expectTrouble({}, old.url, "protocol", /0\.9 is not supported/, /version of the runner/);
  });

  it("names the disk where the file system takes no folders", async () => {
    const { firstFailure, findings } = await look({ MAIA_RUNNER_DATA_DIR: "/proc/runner/own" });
    expect([firstFailure, findings.at(-1)!.detail]).toEqual(["disk", expect.stringContaining("/proc/runner/own")]);
  });

  it("looks at this host although the gateway is not reached, and names a disk that cannot be written to", async () => {
    writeFileSync(at("file"), "");
    const { firstFailure, findings } = await look({ MAIA_RUNNER_DATA_DIR: at("file/runner") }, "http://127.0.0.1:1");
    expect(firstFailure).toBe("tcp");
    const hosts = findings.filter(({ layer }) => layer === "isolation" || layer === "disk");
    expect(hosts.map(({ status }) => status)).toEqual(["ok", "failed"]);
    expect(hosts[1]!.fix).toContain("MAIA_RUNNER_DATA_DIR");
  });
});
