import type { Db } from "@maia/db";
import type { RequestHandler } from "express";
import type { Registry } from "prom-client";

/** What the metrics are read from. */
export interface MetricSources {
  readonly db: Db;
  /** How many streams are open. */
  readonly streams: () => number;
}

/** What /metrics shows. Requests are counted by method and kind of status only, so that the set of series stays small. */
export class Metrics {
  readonly #requests = new Map<string, { method: string; status: string; count: number }>();
  #registry: Promise<Registry> | null = null;

  constructor(private readonly sources: MetricSources) {}

  /** Counts every answer. */
  readonly countRequests: RequestHandler = (req, res, next) => {
    res.once("finish", () => {
      const status = `${Math.floor(res.statusCode / 100)}xx`;
      const key = `${req.method} ${status}`;
      const entry = this.#requests.get(key) ?? { method: req.method, status, count: 0 };
      entry.count++;
      this.#requests.set(key, entry);
    });
    next();
  };

  /** The metrics in Prometheus' text format. */
  async render(): Promise<string> {
    this.#registry ??= this.#open();
    return (await this.#registry).metrics();
  }

  /** The library is loaded when somebody first asks. */
  async #open(): Promise<Registry> {
    const { Counter, Gauge, Registry } = await import("prom-client");
    const registry = new Registry();
    const gauge = (name: string, help: string, read: () => number | Promise<number>) => {
      new Gauge({
        name,
        help,
        registers: [registry],
        async collect() {
          this.set(await read());
        },
      });
    };
    const requests = this.#requests;
    new Counter({
      name: "maia_http_requests_total",
      help: "Requests answered",
      labelNames: ["method", "status"],
      registers: [registry],
      collect() {
        this.reset();
        for (const { method, status, count } of requests.values()) this.inc({ method, status }, count);
      },
    });
    gauge("maia_jobs_queued", "Jobs that wait for an engine", () => this.#count("JobRun", ["QUEUED"]));
    gauge("maia_runs_active", "Runs that have not ended", () => this.#count("Run", ["PENDING_INPUTS", "RUNNING"]));
    gauge("maia_sse_streams", "Event streams that are open", this.sources.streams);
    gauge("maia_process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
    gauge("maia_process_uptime_seconds", "Since the process started", () => process.uptime());
    gauge("maia_event_loop_utilization", "Share of time that the loop was busy, since the start", () => {
      return performance.eventLoopUtilization().utilization;
    });
    return registry;
  }

  async #count(table: "JobRun" | "Run", statuses: readonly string[]): Promise<number> {
    const places = statuses.map(() => "?").join(", ");
    const text = `SELECT count(*) AS "count" FROM "${table}" WHERE "status" IN (${places})`;
    return (await this.sources.db.sql.get<{ count: number }>(text, ...statuses))?.count ?? 0;
  }
}
