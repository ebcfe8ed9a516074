import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type OwnMaia, openOwnMaia } from "./own-maia.js";
import { maia } from "./run-maia.js";

let own: OwnMaia;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  own = await openOwnMaia("keys");
  ({ folder, env } = own);
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

const keys = (...args: string[]) => maia(["keys", ...args], { env, cwd: folder });
const listed = async (...args: string[]) => JSON.parse((await keys("list", "--json", ...args)).stdout);

describe("maia keys", () => {
  it("makes a key with a role, projects and an end, prints it once, lists it without its secret, and revokes it", async () => {
    const made = await keys("create", "ci", "--role", "operator", "--project", "default", "--expires", "90d");
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^mk_[0-9a-z]+_[\w-]{43}\n$/) });
    expect(made.stderr).toMatch(/^key_\S+ may do what an operator may\. It is not shown again/);
    const key = made.stdout.trim();
    const status = (apiKey: string) => maia(["status"], { env: { ...env, MAIA_API_KEY: apiKey }, cwd: folder });
    expect((await status(key)).stdout).toContain("ci (operator)");
    const table = await keys("list");
    expect(table.stdout).toMatch(/^key_\S+ +ci +operator +default +\S+Z +\S+ +valid$/m);
    expect(table.stdout).toMatch(/^key_\S+ +admin-key +admin +all +never +\S+ +valid$/m);
    expect(table.stdout).not.toContain(key.split("_").slice(2).join("_"));
    const [{ id, expiresAt, createdAt }] = await listed();
    expect(new Date(expiresAt).getTime() - new Date(createdAt).getTime()).toBeGreaterThan(89 * 86_400_000);
    expect(await keys("revoke", id)).toEqual({ code: 0, stdout: `${id} is revoked\n`, stderr: "" });
    expect(await status(key)).toMatchObject({ code: 4 });
    expect((await listed()).map((one: { id: string }) => one.id)).not.toContain(id);
    expect((await listed("--all"))[0]).toMatchObject({ id, revokedAt: expect.any(String) });
    expect(await keys("revoke", "key_nobody")).toMatchObject({ code: 3 });
  });

  it("lists the keys that count, however many are newer and do not", async () => {
    await keys("create", "old", "--role", "viewer");
    await keys("create", "revoked", "--role", "viewer");
    await keys("revoke", (await listed("--limit", "1"))[0].id);
    const names = async (...args: string[]) => (await listed(...args)).map(({ name }: { name: string }) => name);
    expect(await names("--limit", "1")).toEqual(["old"]);
    expect(await names("--limit", "1", "--all")).toEqual(["revoked"]);
  });

  it("says what is wrong with a role, a project and an end", async () => {
    expect(await keys("create", "k")).toMatchObject({ code: 2, stderr: expect.stringContaining("--role") });
    expect(await keys("create", "k", "--role", "god")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("viewer"),
    });
    const soon = await keys("create", "k", "--role", "viewer", "--expires", "soon");
    expect(soon).toMatchObject({ code: 2, stderr: expect.stringContaining("such as 90d") });
    const past = await keys("create", "k", "--role", "viewer", "--expires", "2020-01-01T00:00:00Z");
    expect(past).toMatchObject({ code: 6, stderr: expect.stringContaining("a moment ahead") });
    const nowhere = await keys("create", "k", "--role", "viewer", "--project", "nowhere");
    expect(nowhere).toMatchObject({ code: 6, stderr: expect.stringContaining("no such project") });
  });
});
