import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { keysInFile, type SecretKey } from "./keys.js";

const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A secret of an environment, for its steps. */
export interface EnvironmentSecret {
  readonly projectId: string;
  readonly environmentId: string;
  readonly name: string;
}

/** The client secret of a runner. */
export interface RunnerSecret {
  readonly runnerId: string;
}

/** Where a secret belongs. What was encrypted for one place cannot be read at another. */
export type SecretPlace = EnvironmentSecret | RunnerSecret;

/** A value as it is stored. */
export interface SealedSecret {
  readonly keyId: string;
  /** Base64 of the nonce, the ciphertext and the tag. */
  readonly sealed: string;
}

/** A stored value that cannot be read. The message names the secret and never the value. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

/** Encrypts and decrypts secrets (AES-256-GCM). The one place that holds their keys. */
export class SecretBox {
  constructor(
    /** Keys from the environment; null: they are in the file, which is made when the first secret is stored. */
    private readonly configured: readonly SecretKey[] | null,
    private readonly file: string,
  ) {}

  async seal(place: SecretPlace, value: string): Promise<SealedSecret> {
    const [key] = await this.#keys(true);
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key!.bytes, iv, { authTagLength: TAG_BYTES }).setAAD(context(place));
    const body = Buffer.concat([cipher.update(value, "utf8"), cipher.final()]);
    return { keyId: key!.id, sealed: Buffer.concat([iv, body, cipher.getAuthTag()]).toString("base64") };
  }

  /** @throws {SecretError} where the key is another one, or the row is not what was stored for this place. */
  async open(place: SecretPlace, { keyId, sealed }: SealedSecret): Promise<string> {
    const keys = await this.#keys(false).catch((cause: Error) => {
      throw new SecretError(`the secret ${nameOf(place)} cannot be read: ${cause.message}`, { cause });
    });
    const key = keys.find(({ id }) => id === keyId);
    if (!key) throw new SecretError(this.#wrongKey(place, keyId, keys));
    const bytes = Buffer.from(sealed, "base64");
    try {
      const iv = bytes.subarray(0, IV_BYTES);
      const decipher = createDecipheriv(CIPHER, key.bytes, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(context(place)).setAuthTag(bytes.subarray(-TAG_BYTES));
      const body = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES));
      return Buffer.concat([body, decipher.final()]).toString("utf8");
    } catch (cause) {
      const message = `the secret ${nameOf(place)} was changed where it is stored, or belongs to another ${"runnerId" in place ? "runner" : "environment"}; set it again`;
      throw new SecretError(message, { cause });
    }
  }

  /** The key that encrypts from now on; null while there is none yet. */
  async currentKeyId(): Promise<string | null> {
    return (await this.#keys(false))[0]?.id ?? null;
  }

  #keys(make: boolean): Promise<readonly SecretKey[]> {
    return this.configured ? Promise.resolve(this.configured) : keysInFile(this.file, make);
  }

  #wrongKey(place: SecretPlace, keyId: string, keys: readonly SecretKey[]): string {
    const where = this.configured ? "MAIA_SECRET_KEY" : "the data directory's secret-key";
    const held = keys.length === 0 ? "is not there" : `holds ${keys.map(({ id }) => id).join(", ")}`;
    return `the secret ${nameOf(place)} was encrypted with the key ${keyId}, but ${where} ${held}; bring that key back, or set the secret again`;
  }
}

function nameOf(place: SecretPlace): string {
  return "runnerId" in place ? `of runner ${place.runnerId}` : place.name;
}

/** What the tag vouches for besides the value. */
function context(place: SecretPlace): Buffer {
  if ("runnerId" in place) return Buffer.from(JSON.stringify(["maia-runner-secret", 1, place.runnerId]));
  const { projectId, environmentId, name } = place;
  return Buffer.from(JSON.stringify(["maia-secret", 1, projectId, environmentId, name]));
}
