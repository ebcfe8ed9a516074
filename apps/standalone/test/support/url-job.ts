import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Client } from "./client.ts";
import type { Deployment } from "./deployments.ts";

interface InputFile {
  readonly name: string;
  readonly status: string;
  readonly url: string;
  readonly sizeBytes: number | null;
  readonly error: string | null;
}

/** What became of a job with one file behind a URL. `refused`: it was never made. */
export interface UrlOutcome {
  readonly refused: string | null;
  readonly status: string;
  readonly code: string | null;
  /** Why the file is not there, as a user reads it. */
  readonly error: string;
  readonly file: InputFile | null;
  /** What the steps were given. */
  readonly input: { readonly files: readonly { readonly path: string }[] };
}

/** Asks for a job with one file behind a URL, and waits for its end. */
export async function fetchInJob(client: Client, url: string, workflow = "files"): Promise<UrlOutcome> {
  const answer = await client.call<{ id: string; code?: string; detail?: string }>("POST", "/v1/jobs", {
    workflow,
    urlFiles: [{ url }],
  });
  if (answer.status !== 201) {
    const error = `${answer.body.code} ${answer.body.detail} ${JSON.stringify(answer.body)}`;
    return {
      refused: `${answer.status}`,
      status: "",
      code: answer.body.code ?? null,
      error,
      file: null,
      input: { files: [] },
    };
  }
  const run = await client.finished(answer.body.id);
  const { inputs, initialInput } = run as unknown as { inputs: InputFile[]; initialInput: UrlOutcome["input"] };
  const [file] = inputs;
  return {
    refused: null,
    status: run.status,
    code: run.failure?.code ?? null,
    error: file?.error ?? "",
    file: file ?? null,
    input: initialInput,
  };
}

/** The files that are being written, or were left behind. */
export function unfinishedFiles({ dataDir }: Deployment): Promise<string[]> {
  return readdir(path.join(dataDir, "tmp"));
}
