import { createHash } from "node:crypto";
import { adminKey, eventually } from "./processes.ts";

export interface Step {
  key: string;
  runtime?: "node" | "python" | "shell";
  script: string;
  deps?: string[];
  artifacts?: { from: string; name: string }[];
  timeoutMs?: number;
  retry?: Record<string, number>;
  transaction?: string;
  rollback?: boolean;
}

export interface Workflow {
  name: string;
  reuse?: boolean;
  env?: Record<string, string>;
  steps: Step[];
  [more: string]: unknown;
}

export interface Attempt {
  id: string;
  no: number;
  status: string;
  exitCode: number | null;
  reason: string | null;
  isolation: string | null;
  engineId: string;
  failure: { code: string; message: string } | null;
  startedAt: string | null;
  finishedAt: string | null;
}

export interface Run {
  id: string;
  jobId: string;
  status: string;
  outputs: Record<string, unknown> | null;
  failure: { code: string; message: string; stepKey: string | null } | null;
  engineId: string;
  steps: { key: string; status: string; attempts: Attempt[] }[];
}

export interface LogItem {
  at: string;
  stepKey: string;
  attemptNo: number;
  seq: number;
  stream: string;
  line: string;
}

export interface SseEvent {
  id: string;
  event: string;
  data: Record<string, unknown>;
}

/** What the API answered, whatever its status. */
export interface Answer<T = Record<string, unknown>> {
  status: number;
  headers: Headers;
  body: T;
}

export interface Artifact {
  readonly id: string;
  readonly stepKey: string;
  readonly attemptNo: number;
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly system: boolean;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** A client of the HTTP API, as a test needs it: nothing hidden, nothing retried. */
export class Client {
  readonly url: string;
  readonly key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.key = key;
  }

  /** Waits until the API is ready, and takes the admin key from its data directory. */
  static async connect(url: string, dataDir: string): Promise<Client> {
    await eventually(`${url} is ready`, async () => (await fetch(`${url}/readyz`)).ok);
    return new Client(url, await adminKey(dataDir));
  }

  async call<T = Record<string, unknown>>(
    method: string,
    route: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(`${this.url}${route}`, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as T };
  }

  async get<T>(route: string): Promise<T> {
    const answer = await this.call<T>("GET", route);
    if (answer.status !== 200) throw new Error(`GET ${route}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async apply(workflow: Workflow): Promise<void> {
    const answer = await this.call("PUT", `/v1/workflows/${workflow.name}`, workflow);
    if (answer.status > 201) throw new Error(`PUT ${workflow.name}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  async submit(
    workflow: string,
    more: Record<string, unknown> = {},
  ): Promise<{ id: string; status: string; runId: string | null }> {
    const answer = await this.call<{ id: string; status: string; runId: string | null }>("POST", "/v1/jobs", {
      workflow,
      ...more,
    });
    if (answer.status !== 201) throw new Error(`POST /v1/jobs: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Keeps bytes by their hash, to name them in a job. */
  async upload(bytes: Uint8Array | string): Promise<string> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const response = await fetch(`${this.url}/v1/blobs/${sha256}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/octet-stream" },
      body: typeof bytes === "string" ? bytes : Buffer.from(bytes),
    });
    if (response.status !== 201 && response.status !== 200)
      throw new Error(`PUT blob: ${response.status} ${await response.text()}`);
    return sha256;
  }

  async job(id: string): Promise<Pick<Run, "id" | "status" | "failure"> & { runId: string | null }> {
    return this.get(`/v1/jobs/${id}`);
  }

  async run(id: string): Promise<Run> {
    return this.get(`/v1/runs/${id}`);
  }

  /** The run of a job, once the job has ended. */
  async finished(jobId: string, withinMs = 60_000): Promise<Run> {
    const runId = await eventually(
      `job ${jobId} has ended`,
      async () => {
        const job = await this.job(jobId);
        return ["SUCCEEDED", "FAILED", "CANCELED"].includes(job.status) ? (job.runId ?? "none") : null;
      },
      withinMs,
    );
    return this.run(runId);
  }

  /** Everything of a list, page by page. `read` asks for one page. */
  async list<T>(path: string, read = (page: string): Promise<Page<T>> => this.get(page)): Promise<T[]> {
    const items: T[] = [];
    const first = `${path}${path.includes("?") ? "&" : "?"}limit=100`;
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: Page<T> = await read(cursor ? `${first}&cursor=${encodeURIComponent(cursor)}` : first);
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }

  /** All lines of a run's log. `query` begins with `&`. */
  logs(runId: string, query = ""): Promise<LogItem[]> {
    return this.list(`/v1/runs/${runId}/logs?${query.slice(1)}`);
  }

  artifacts(runId: string): Promise<Artifact[]> {
    return this.list(`/v1/runs/${runId}/artifacts`);
  }

  async content(artifactId: string): Promise<Uint8Array> {
    const response = await fetch(`${this.url}/v1/artifacts/${artifactId}/content`, {
      headers: { authorization: `Bearer ${this.key}` },
    });
    if (!response.ok) throw new Error(`artifact ${artifactId}: ${response.status} ${await response.text()}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** The events of a run from a cursor on, until the stream ends or `stop` says so. */
  async events(
    runId: string,
    options: { after?: string; stop?: (event: SseEvent) => boolean } = {},
  ): Promise<SseEvent[]> {
    const abort = new AbortController();
    const response = await fetch(`${this.url}/v1/runs/${runId}/events?until=end`, {
      headers: { authorization: `Bearer ${this.key}`, ...(options.after ? { "last-event-id": options.after } : {}) },
      signal: abort.signal,
    });
    if (response.status === 204) return [];
    if (!response.ok || !response.body) throw new Error(`events: ${response.status} ${await response.text()}`);
    const events: SseEvent[] = [];
    let rest = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parseBlock(block);
        if (!event) continue;
        events.push(event);
        if (options.stop?.(event)) {
          abort.abort();
          return events;
        }
      }
    }
    return events;
  }
}

function parseBlock(block: string): SseEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const data = fields.get("data");
  return data === undefined
    ? null
    : { id: fields.get("id") ?? "", event: fields.get("event") ?? "", data: JSON.parse(data) };
}
