import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { readSettings } from "./settings.js";

let home: string;
const nowhere = { root: "", npmRegistry: null, pythonIndex: null, timeoutMs: 1, cacheBytes: 1 };
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "maia-home-"));
  mkdirSync(join(home, "pip"));
  mkdirSync(join(home, "index/simple"), { recursive: true });
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What the files of a user and the environment make together. */
function settings(npmrc: string, pipConf: string, env: Record<string, string> = {}, told: object = {}) {
  writeFileSync(join(home, ".npmrc"), npmrc);
  writeFileSync(join(home, "pip/pip.conf"), pipConf);
  return readSettings({ ...nowhere, ...told }, { HOME: home, XDG_CONFIG_HOME: home, ...env });
}

describe("the machine's settings for packages", () => {
  it("say where npm looks and with which token, and nothing about how it installs", () => {
    const token = ["$", "{TOKEN}"].join("");
    const scoped = `@own:registry = http://two/\n//two/:_authToken=${token}`;
    const text = `registry=http://one/\n${scoped}\nignore-scripts=false\n; cafile=x`;
    const { npm } = settings(text, "", { TOKEN: "t-1", npm_config_proxy: "http://proxy/" });
    expect(npm).toEqual(
      expect.arrayContaining([
        "registry=http://one/",
        "@own:registry=http://two/",
        "//two/:_authToken=t-1",
        "proxy=http://proxy/",
      ]),
    );
    expect(npm.join()).not.toContain("ignore-scripts");
    expect(settings(text, "", {}, { npmRegistry: "http://told/" }).npm).toContain("registry=http://told/");
  });

  it("say where pip looks, from its files and the environment, which is stronger", () => {
    const text =
      "[global]\nindex-url = http://one/simple\nextra-index-url =\n  http://two/\n  http://three/\n[freeze]\ntimeout = 1\n";
    expect(settings("", text).pip).toMatchObject({
      PIP_INDEX_URL: "http://one/simple",
      PIP_EXTRA_INDEX_URL: "http://two/ http://three/",
    });
    expect(settings("", text).pip).not.toHaveProperty("PIP_TIMEOUT");
    expect(settings("", text, { PIP_INDEX_URL: "http://four/" }).pip).toMatchObject({ PIP_INDEX_URL: "http://four/" });
    const { pip } = settings("", text, {}, { pythonIndex: "http://told:1/simple/" });
    expect(pip).toMatchObject({ PIP_INDEX_URL: "http://told:1/simple/", PIP_TRUSTED_HOST: "told" });
    expect(pip).not.toHaveProperty("PIP_EXTRA_INDEX_URL");
  });

  it("name the folders that an installation must see, and the proxies", () => {
    const index = join(home, "index/simple");
    const { reads, proxies } = settings("", `[global]\nindex-url = ${pathToFileURL(index)}\nfind-links = /nowhere\n`, {
      HTTPS_PROXY: "http://proxy/",
      SECRET: "x",
    });
    expect(reads).toContain(join(home, "index"));
    expect(reads).not.toContain("/nowhere");
    expect(proxies).toEqual({ HTTPS_PROXY: "http://proxy/" });
  });
});
