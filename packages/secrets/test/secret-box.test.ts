import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { readSecretKeys } from "../src/keys.js";
import { SecretBox } from "../src/secret-box.js";

const place = { projectId: "prj_1", environmentId: "env_1", name: "TOKEN" };
const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const withKeys = (...keys: string[]) =>
  new SecretBox(readSecretKeys({ MAIA_SECRET_KEY: keys.join(",") }), "/nowhere/secret-key");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maia-secrets-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a secret", () => {
  it("comes back as it was, and is never stored the same way twice (S17)", async () => {
    const box = withKeys(one.toString("base64"));
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", maxLength: 200 }), async (value) => {
        const [first, second] = [await box.seal(place, value), await box.seal(place, value)];
        expect(first.sealed).not.toBe(second.sealed);
        expect(await box.open(place, first)).toBe(value);
      }),
    );
  });

  it("is refused at any other place, and after any change of a bit (S17)", async () => {
    const box = withKeys(one.toString("hex"));
    const sealed = await box.seal(place, "swordfish");
    for (const other of [{ projectId: "prj_2" }, { environmentId: "env_2" }, { name: "OTHER" }])
      await expect(box.open({ ...place, ...other }, sealed)).rejects.toThrow(/belongs to another environment/);
    const bytes = Buffer.from(sealed.sealed, "base64");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await expect(box.open(place, { ...sealed, sealed: changed.toString("base64") })).rejects.toThrow(/was changed/);
    }
    for (const short of ["", "AAAA", bytes.subarray(0, 20).toString("base64")])
      await expect(box.open(place, { ...sealed, sealed: short })).rejects.toThrow(/was changed/);
  });

  it("is read with an older key that is still named, and refused without it, by the names of the keys", async () => {
    const old = await withKeys(one.toString("base64")).seal(place, "swordfish");
    const both = withKeys(two.toString("base64"), one.toString("base64"));
    expect(await both.open(place, old)).toBe("swordfish");
    const fresh = await both.seal(place, "trout");
    expect(await withKeys(two.toString("base64url")).open(place, fresh)).toBe("trout");
    const wrong = withKeys(two.toString("base64")).open(place, old);
    await expect(wrong).rejects.toThrow(
      `the secret TOKEN was encrypted with the key ${old.keyId}, but MAIA_SECRET_KEY holds ${fresh.keyId};`,
    );
    await expect(wrong).rejects.not.toThrow(/swordfish/);
  });
});

describe("another key", () => {
  const bodyOf = ({ sealed }: { sealed: string }) => Buffer.from(sealed, "base64").subarray(60).toString("base64");
  const [mine, next] = [one.toString("base64"), two.toString("base64")];

  it("encrypts the data key anew and leaves the value as it is stored (S17)", async () => {
    const before = await withKeys(mine).seal(place, "swordfish");
    const after = await withKeys(next, mine).rewrap(place, before);
    expect(after.keyId).not.toBe(before.keyId);
    expect(bodyOf(after)).toBe(bodyOf(before));
    expect(await withKeys(next).open(place, after)).toBe("swordfish");
    await expect(withKeys(mine).open(place, after)).rejects.toThrow(/was encrypted with the key/);
    await expect(withKeys(next).rewrap(place, before)).rejects.toThrow(/was encrypted with the key/);
    await expect(withKeys(next, mine).rewrap({ ...place, name: "OTHER" }, before)).rejects.toThrow(/was changed/);
  });

  it("reads no secret whose data key and value are of two", async () => {
    const box = withKeys(mine);
    const [first, second] = [await box.seal(place, "swordfish"), await box.seal(place, "trout")];
    const mixed = Buffer.concat([
      Buffer.from(first.sealed, "base64").subarray(0, 60),
      Buffer.from(second.sealed, "base64").subarray(60),
    ]);
    await expect(box.open(place, { ...first, sealed: mixed.toString("base64") })).rejects.toThrow(/was changed/);
  });
});

describe("the key in the data directory", () => {
  it("is made once when it is first needed, for its owner alone, however many need it at once", async () => {
    const file = join(folder, "secret-key");
    await expect(new SecretBox(null, file).open(place, { keyId: "x", sealed: "" })).rejects.toThrow(/is not there/);
    expect(await readdir(folder)).toEqual([]);
    const boxes = Array.from({ length: 8 }, () => new SecretBox(null, file));
    const sealed = await Promise.all(boxes.map((box) => box.seal(place, "swordfish")));
    expect(new Set(sealed.map(({ keyId }) => keyId)).size).toBe(1);
    expect(await readdir(folder)).toEqual(["secret-key"]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await new SecretBox(null, file).open(place, sealed[7]!)).toBe("swordfish");
    const whole = await readFile(file, "utf8");
    await writeFile(file, "no key");
    await expect(boxes[0]!.open(place, sealed[0]!)).rejects.toThrow(
      /^the secret TOKEN cannot be read: .*must hold keys/,
    );
    await writeFile(file, `${one.toString("base64")}\n${whole}`);
    expect(await new SecretBox(null, file).open(place, sealed[0]!)).toBe("swordfish");
  });

  it.each(["short", "x".repeat(44), "0".repeat(63), ","])("is refused as %j, without being shown", (text) => {
    const read = () => readSecretKeys({ MAIA_SECRET_KEY: text });
    expect(read).toThrow(/MAIA_SECRET_KEY .*openssl rand -base64 32/);
    if (text.length > 1) expect(read).not.toThrow(new RegExp(text));
  });
});
