import { randomBytes } from "node:crypto";
import { decrypt, encrypt, OVERHEAD_BYTES } from "./cipher.js";
import { keysInFile, type SecretKey } from "./keys.js";

const DATA_KEY_BYTES = 32;
/** How many bytes of a sealed secret are its data key, encrypted. */
const WRAPPED_BYTES = DATA_KEY_BYTES + OVERHEAD_BYTES;

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
  /** The key that encrypts the data key. */
  readonly keyId: string;
  /** Base64 of the data key, encrypted with that key, and of the value, encrypted with the data key. */
  readonly sealed: string;
}

/** A stored value that cannot be read. The message names the secret and never the value. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

/**
 * Encrypts and decrypts secrets, each with a random data key of its own, which is stored beside it, encrypted in turn. So
 * changing the key touches data keys only, and no value. The one place that holds the keys.
 */
export class SecretBox {
  constructor(
    /** Keys from the environment; null: they are in the file, which is made when the first secret is stored. */
    private readonly configured: readonly SecretKey[] | null,
    private readonly file: string,
  ) {}

  async seal(place: SecretPlace, value: string): Promise<SealedSecret> {
    const [key] = await this.#keys(true);
    const dataKey = randomBytes(DATA_KEY_BYTES);
    const body = encrypt(dataKey, about(place, "value"), Buffer.from(value, "utf8"));
    return sealedWith(key!, place, dataKey, body);
  }

  /** @throws {SecretError} where the key is another one, or the row is not what was stored for this place. */
  async open(place: SecretPlace, secret: SealedSecret): Promise<string> {
    const { dataKey, body } = await this.#unwrap(place, secret);
    return orChanged(place, () => decrypt(dataKey, about(place, "value"), body).toString("utf8"));
  }

  /** The same secret under the current key: its data key is encrypted anew, its value stays as it is. @throws {SecretError} as `open` */
  async rewrap(place: SecretPlace, secret: SealedSecret): Promise<SealedSecret> {
    const { dataKey, body } = await this.#unwrap(place, secret);
    const [key] = await this.#keys(true);
    return sealedWith(key!, place, dataKey, body);
  }

  /** The key that encrypts from now on; null while there is none yet. */
  async currentKeyId(): Promise<string | null> {
    return (await this.#keys(false))[0]?.id ?? null;
  }

  async #unwrap(place: SecretPlace, { keyId, sealed }: SealedSecret): Promise<{ dataKey: Buffer; body: Buffer }> {
    const keys = await this.#keys(false).catch((cause: Error) => {
      throw new SecretError(`the secret ${nameOf(place)} cannot be read: ${cause.message}`, { cause });
    });
    const key = keys.find(({ id }) => id === keyId);
    if (!key) throw new SecretError(this.#wrongKey(place, keyId, keys));
    const bytes = Buffer.from(sealed, "base64");
    const [wrapped, body] = [bytes.subarray(0, WRAPPED_BYTES), bytes.subarray(WRAPPED_BYTES)];
    return { dataKey: orChanged(place, () => decrypt(key.bytes, about(place, "key"), wrapped)), body };
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

function sealedWith(key: SecretKey, place: SecretPlace, dataKey: Uint8Array, body: Uint8Array): SealedSecret {
  const wrapped = encrypt(key.bytes, about(place, "key"), dataKey);
  return { keyId: key.id, sealed: Buffer.concat([wrapped, body]).toString("base64") };
}

/** @throws {SecretError} in place of whatever decrypting throws. */
function orChanged<T>(place: SecretPlace, decrypted: () => T): T {
  try {
    return decrypted();
  } catch (cause) {
    const other = "runnerId" in place ? "runner" : "environment";
    const message = `the secret ${nameOf(place)} was changed where it is stored, or belongs to another ${other}; set it again`;
    throw new SecretError(message, { cause });
  }
}

function nameOf(place: SecretPlace): string {
  return "runnerId" in place ? `of runner ${place.runnerId}` : place.name;
}

/** What the tags vouch for besides: the place, and which of the two is which. */
function about(place: SecretPlace, field: "key" | "value"): Buffer {
  if ("runnerId" in place) return Buffer.from(JSON.stringify(["maia-runner-secret", 2, place.runnerId, field]));
  const { projectId, environmentId, name } = place;
  return Buffer.from(JSON.stringify(["maia-secret", 2, projectId, environmentId, name, field]));
}
