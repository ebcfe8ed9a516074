import type { EventData, EventKind } from "@maia/domain";
import { insertEvent } from "./events.js";
import type { Writer } from "./providers/provider.js";
import type { BellTopic, EventAbout, Models, Sql, SqlValue, Tx } from "./types.js";

/** The part of a shared transaction that belongs to one callback. It is of no use after the callback's end. */
export class SharedTx implements Tx {
  /** Whom to ring for after the commit. */
  readonly topics = new Set<BellTopic>();
  readonly sql: Sql;
  /** True once the callback has ended. */
  ended = false;
  readonly #writer: Writer;

  constructor(writer: Writer) {
    this.#writer = writer;
    const use = () => this.#use();
    this.sql = {
      get: async <Row>(text: string, ...values: SqlValue[]) => use().sql.get<Row>(text, ...values),
      all: async <Row>(text: string, ...values: SqlValue[]) => use().sql.all<Row>(text, ...values),
      run: async (text, ...values) => use().sql.run(text, ...values),
    };
  }

  get models(): Models {
    return this.#use().models;
  }

  async event<K extends EventKind>(kind: K, about: EventAbout, data: EventData[K]): Promise<void> {
    await insertEvent(this.sql, kind, about, data);
    this.ring("events");
  }

  async shrink(pages: number): Promise<void> {
    await this.#use().shrink(pages);
  }

  ring(topic: BellTopic): void {
    this.topics.add(topic);
  }

  end(): void {
    this.ended = true;
  }

  #use(): Writer {
    if (this.ended) throw new Error("a tx was used after its write had ended: await everything inside the callback");
    return this.#writer;
  }
}
