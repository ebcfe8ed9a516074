import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** How much longer what is encrypted is than what was, in bytes. */
export const OVERHEAD_BYTES = IV_BYTES + TAG_BYTES;

/** Encrypts (AES-256-GCM): the nonce, the ciphertext, the tag. The tag vouches for `about` as well. */
export function encrypt(key: Uint8Array, about: Uint8Array, plain: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(about);
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts what `encrypt` gave. @throws where a bit of it, the key or `about` is another. Nothing of the plain text comes out then. */
export function decrypt(key: Uint8Array, about: Uint8Array, bytes: Uint8Array): Buffer {
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(about).setAuthTag(bytes.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
}
