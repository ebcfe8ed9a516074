import type { Database } from "better-sqlite3";
import type { PrismaClient } from "./generated/prisma/client.js";
import type { AdapterOptions } from "./providers/prisma-adapter.js";
import type { Models } from "./types.js";

type Operation = (args?: unknown) => Promise<unknown>;

/** The Prisma models on a connection. Prisma costs time and memory to load, so that waits for the first query. */
export function lazyModels(connection: Database, options: AdapterOptions): Models {
  let client: Promise<PrismaClient> | undefined;
  const load = () => (client ??= openClient(connection, options));
  const delegates = new Map<string, object>();
  const delegate = (model: string) =>
    proxyOf(
      (name): Operation =>
        async (args) => {
          const operations = (await load())[model as keyof PrismaClient] as unknown as Record<string, Operation>;
          return operations[name]!(args);
        },
    );
  return proxyOf((model) => {
    const known = delegates.get(model) ?? delegate(model);
    delegates.set(model, known);
    return known;
  }) as Models;
}

function proxyOf(get: (name: string) => unknown): object {
  return new Proxy({}, { get: (_, name) => (typeof name === "string" && name !== "then" ? get(name) : undefined) });
}

async function openClient(connection: Database, options: AdapterOptions): Promise<PrismaClient> {
  const [{ PrismaClient }, { PrismaAdapter }] = await Promise.all([
    import("./generated/prisma/client.js"),
    import("./providers/prisma-adapter.js"),
  ]);
  const adapter = new PrismaAdapter(connection, options);
  const { provider, adapterName } = adapter;
  return new PrismaClient({ adapter: { provider, adapterName, connect: async () => adapter } });
}
