import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HeldAttempt } from "@maia/runner-protocol/client";

const NAME = /^([A-Za-z0-9][A-Za-z0-9_-]{0,127})\.token$/;

/**
 * The attempts whose end the gateway has not confirmed, with their tokens, in files: after a crash their frames are sent
 * all the same. They are not flushed, since after a power cut the gateway hands such a task over again.
 */
export class Unconfirmed {
  readonly #tokens: Map<string, string>;

  private constructor(
    private readonly dir: string,
    tokens: readonly (readonly [string, string])[],
  ) {
    this.#tokens = new Map(tokens);
  }

  static async open(dir: string): Promise<Unconfirmed> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const ids = (await readdir(dir)).flatMap((name) => NAME.exec(name)?.[1] ?? []);
    const tokens = ids.map(async (id) => [id, await readFile(join(dir, `${id}.token`), "utf8")] as const);
    return new Unconfirmed(dir, await Promise.all(tokens));
  }

  all(): HeldAttempt[] {
    return [...this.#tokens].map(([attemptId, token]) => ({ attemptId, token }));
  }

  async add({ attemptId, token }: HeldAttempt): Promise<void> {
    const path = join(this.dir, `${attemptId}.token`);
    await writeFile(`${path}.new`, token, { mode: 0o600 });
    await rename(`${path}.new`, path);
    this.#tokens.set(attemptId, token);
  }

  async remove(attemptId: string): Promise<void> {
    this.#tokens.delete(attemptId);
    await rm(join(this.dir, `${attemptId}.token`), { force: true });
  }
}
