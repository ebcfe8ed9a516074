import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Deployment } from "./support/deployments.ts";
import { Forbidden, ownAddresses, WebServer } from "./support/listeners.ts";
import { NameServer } from "./support/name-server.ts";
import { fetchInJob, unfinishedFiles } from "./support/url-job.ts";

/** Stands for the internet: it is permitted, all other addresses of this machine are not. */
const PUBLIC = "127.0.0.10";
const PRIVATE = "127.0.0.2";
const own = ownAddresses();

let names: NameServer;
let web: WebServer;
let sinks: Forbidden;
let maia: Deployment;
let port: number;

beforeAll(async () => {
  names = await NameServer.start();
  web = await WebServer.at(PUBLIC);
  port = web.port;
  sinks = await Forbidden.at(port, ["127.0.0.1", PRIVATE, "127.0.0.3", "::1", ...own]);
  maia = await Deployment.start("local", {
    MAIA_URL_DNS: names.address,
    MAIA_URL_ALLOW: `${PUBLIC}:${port}`,
    MAIA_URL_RETRY_MS: "1",
    MAIA_URL_RETRIES: "1",
    MAIA_URL_TOTAL_MS: "5000",
  });
  await maia.client.apply({ name: "files", reuse: true, steps: [{ key: "a", script: "export default () => ({})" }] });
  web.on("/file", (_, response) => response.end("from the internet"));
});

afterAll(async () => {
  await maia?.[Symbol.asyncDispose]();
  for (const one of [sinks, web, names]) await one?.[Symbol.asyncDispose]();
});

/** It fails with this reason, which names the URL; no sink was reached, and the next job is carried out. */
async function refuses(url: string, reason: RegExp): Promise<void> {
  const outcome = await fetchInJob(maia.client, url);
  expect(outcome.error).toMatch(reason);
  if (outcome.refused === null) {
    expect([outcome.status, outcome.code]).toEqual(["FAILED", "INPUT_DOWNLOAD_FAILED"]);
    expect(outcome.error).toContain(`${url}: `);
  } else expect(outcome).toMatchObject({ refused: "422", code: expect.stringMatching(/^(INVALID|URL_BLOCKED)$/) });
  expect(sinks.reached).toEqual([]);
}

describe("a file behind a URL (T11, S20)", () => {
  it("is refused nowhere by accident: the sinks can be reached, and so can what is permitted", async () => {
    expect(sinks.addresses).toEqual(expect.arrayContaining(["127.0.0.1", PRIVATE]));
    for (const address of sinks.addresses) {
      const host = address.includes(":") ? `[${address}]` : address;
      await expect(fetch(`http://${host}:${port}/`)).rejects.toThrow();
    }
    expect(sinks.reached.splice(0)).toEqual(sinks.addresses);
    names.name("public.test", [PUBLIC]);
    expect(await fetchInJob(maia.client, `http://public.test:${port}/file`)).toMatchObject({
      status: "SUCCEEDED",
      file: { name: "file", sizeBytes: 17 },
    });
    expect(names.asked).toEqual(["public.test"]);
  });

  it.each(["file:///etc/passwd", "ftp://h/", "gopher://h/", "data:,x", "unix:/x", "http://unix:/x:/", "//h/", "h"])(
    "does not come from %s (B076)",
    (url) => refuses(url, /must/),
  );

  it.each([
    ...["127.0.0.1", "localhost", "0", "0.0.0.0", "127.1", "0x7f.1", "0177.1", "2130706433", "[::1]", "[::]"],
    ...["[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "①②⑦.0.0.1"],
    ...["%31%32%37.0.0.1", "127.0.0.1.", "localhost.", PRIVATE, "169.254.169.254", "[fe80::1%25eth0]"],
    ...own.map((address) => (address.includes(":") ? `[${address}]` : address)),
  ])("does not come from the host %s (B077)", async (host) => {
    names.name("localhost", ["127.0.0.1", "::1"]);
    await refuses(`http://${host}:${port}/`, /not a public address|is an address of this host|must be an http/);
  });

  it.each([
    ["a private address", [PRIVATE]],
    ["a private address of IPv6", ["::1"]],
    ["an address of IPv4 within IPv6", ["::ffff:127.0.0.2"]],
    ["an address of this machine", [own[0] ?? "127.0.0.3"]],
    ["a metadata service", ["169.254.169.254"]],
    ["a public and a private address", [PUBLIC, PRIVATE]],
    ["a private and a public address", ["127.0.0.3", PUBLIC]],
    ["a public address, and a private one of IPv6", [PUBLIC, "::1"]],
    ["a chain of other names that ends at a private address", ["one.chain.test"]],
    ["no address", []],
  ])("does not come from a name that stands for %s (B079)", async (_what, answers) => {
    names.name("one.chain.test", ["two.chain.test"]);
    names.name("two.chain.test", ["three.chain.test"]);
    names.name("three.chain.test", [PRIVATE]);
    names.name("odd.test", answers);
    const before = web.seen.length;
    await refuses(
      `http://odd.test:${port}/file`,
      /not a public address|is an address of this host|could not be looked up/,
    );
    expect(web.seen).toHaveLength(before);
  });

  it("comes from the address that was checked, whatever its name stands for a moment later (B079)", async () => {
    names.name("rebind.test", [PUBLIC], [PRIVATE]);
    expect(await fetchInJob(maia.client, `http://rebind.test:${port}/file`)).toMatchObject({ status: "SUCCEEDED" });
    expect(sinks.reached).toEqual([]);
  });

  it("is refused when its name stands for a private address at the second try, or the second hop (B079)", async () => {
    web.on("/busy", (_, response) => response.writeHead(503).end());
    names.name("retried.test", [PUBLIC], [PRIVATE]);
    await refuses(`http://retried.test:${port}/busy`, /retried\.test: 127\.0\.0\.2 is not a public address/);
    names.name("hop.test", [PUBLIC], [PRIVATE]);
    web.redirect("/hop", `http://hop.test:${port}/file`);
    await refuses(`http://hop.test:${port}/hop`, /hop\.test: 127\.0\.0\.2 is not a public address/);
  });

  it.each([
    ["an address", `http://${PRIVATE}:PORT/`, /127\.0\.0\.2 is not a public address/],
    ["an address, with status 307", `http://127.1:PORT/`, /127\.0\.0\.1 is not a public address/],
    ["a name", "http://private.test:PORT/", /private\.test: 127\.0\.0\.3 is not a public address/],
    ["a file", "file:///etc/passwd", /Only http: and https:/],
    ["a socket file", "http://unix:/var/run/docker.sock:/", /socket files|no URL/],
    ["another port", `http://${PUBLIC}:22/`, /not a public address|Port 22/],
    ["nowhere", "http://", /without saying where to|no URL/],
    ["itself", "/circle", /More than 5 redirects/],
    ["a user name and a password", `http://u:p@${PUBLIC}:PORT/file`, /must not carry a user name/],
  ])("is not fetched where it leads to %s (B080)", async (what, to, reason) => {
    names.name("private.test", ["127.0.0.3"]);
    names.name("public.test", [PUBLIC]);
    const path = to === "/circle" ? to : `/leads-to-${encodeURIComponent(what)}`;
    web.redirect(path, to.replace("PORT", String(port)), what.endsWith("307") ? 307 : 302);
    await refuses(`http://public.test:${port}${path}`, reason);
  });

  it("is fetched over five redirects, and not over six (B080)", async () => {
    for (let hop = 0; hop < 6; hop++) web.redirect(`/hop-${hop}`, hop === 0 ? "/file" : `/hop-${hop - 1}`);
    expect(await fetchInJob(maia.client, `http://${PUBLIC}:${port}/hop-4`)).toMatchObject({ status: "SUCCEEDED" });
    await refuses(`http://${PUBLIC}:${port}/hop-5`, /More than 5 redirects/);
  });

  it.each(["22", "25", "6379", "0", "65536", "own"])("does not come from port %s (B082)", async (which) => {
    names.name("public.test", [PUBLIC]);
    const at = which === "own" ? new URL(maia.url).port : which;
    await refuses(`http://public.test:${at}/file`, /Port \d+ may not be fetched from|must be an http/);
  });

  it("leaves a Maia that is well and has nothing left over (B079)", async () => {
    expect((await fetch(`${maia.url}/readyz`)).status).toBe(200);
    expect(await fetchInJob(maia.client, `http://${PUBLIC}:${port}/file`)).toMatchObject({ status: "SUCCEEDED" });
    expect(await unfinishedFiles(maia)).toEqual([]);
    expect(sinks.reached).toEqual([]);
  });
});
