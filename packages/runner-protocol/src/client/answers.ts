import type { Request } from "got";

/** Longest body of a small answer, in bytes. */
const MAX_SMALL_BYTES = 1_048_576;

export interface Head {
  readonly statusCode: number;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
}

/** Waits for the head of an answer. @throws what broke the request. */
export function answerOf(request: Request): Promise<Head> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", reject); // stays until the answer is there; later errors reach whoever reads the body
    request.once("close", () => reject(new Error("the connection was closed without an answer")));
  });
}

/** The text of an answer that is meant to be small. @throws {Error} when it is not. */
export async function readSmall(body: AsyncIterable<Uint8Array>, maxBytes = MAX_SMALL_BYTES): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
