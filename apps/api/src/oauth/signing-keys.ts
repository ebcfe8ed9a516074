import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { keysInFile } from "@maia/secrets";

/** What signs tokens, and the name under which a token says so. */
export interface SigningKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** PKCS #8 around the 32 bytes that are an Ed25519 private key (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
/** How old what was read of the file may be, in milliseconds, so that a key that is put in or taken out soon counts. */
const FRESH_MS = 1_000;

/**
 * The Ed25519 keys in a file of the data directory, one a line, readable by its owner only: the first signs, all of them
 * verify. The file is made when the first token is. To rotate, put a new key before the old one, and take the old one out
 * once the tokens that it signed have run out; to end all tokens at once, remove the file.
 */
export class SigningKeys {
  #keys: Promise<readonly SigningKey[]> | null = null;
  #readAt = 0;

  constructor(private readonly file: string) {}

  async current(): Promise<SigningKey> {
    const [first] = await this.#read(true);
    return first!;
  }

  async find(id: string): Promise<SigningKey | null> {
    return (await this.#read(false)).find((key) => key.id === id) ?? null;
  }

  async #read(make: boolean): Promise<readonly SigningKey[]> {
    const now = performance.now();
    if (this.#keys === null || now - this.#readAt > FRESH_MS) {
      this.#readAt = now;
      this.#keys = load(this.file, make);
    }
    const keys = await this.#keys.catch((error) => {
      this.#keys = null;
      throw error;
    });
    if (keys.length > 0 || !make) return keys;
    this.#keys = load(this.file, true);
    return this.#keys;
  }
}

async function load(file: string, make: boolean): Promise<readonly SigningKey[]> {
  const keys = await keysInFile(file, make);
  return keys.map(({ id, bytes }) => {
    const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, bytes]), format: "der", type: "pkcs8" });
    return { id, privateKey, publicKey: createPublicKey(privateKey) };
  });
}
