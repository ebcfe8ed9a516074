import type net from "node:net";

/** How many characters name a process. */
export const ID_CHARS = 24;

/** A connection to another process's bell. Whoever connects begins with its id; all the rest are letters. */
export class Peer {
  /** Set when the other one said that it goes. */
  saidGoodbye = false;
  #start = "";
  /** Letters that the connection had no room for: sent as soon as it has, each once. */
  readonly #owed = new Set<string>();

  /** @param id of the process, or null where it has yet to tell. */
  constructor(
    private readonly socket: net.Socket,
    public id: string | null,
  ) {
    socket.on("drain", () => {
      const text = [...this.#owed].join("");
      this.#owed.clear();
      if (text) this.send(text);
    });
  }

  send(text: string): void {
    if (this.socket.writableNeedDrain) for (const letter of text) this.#owed.add(letter);
    else this.socket.write(text, "latin1");
  }

  /** @returns the letters in what has come. */
  take(text: string): string {
    if (this.id !== null) return text;
    this.#start += text;
    if (this.#start.length < ID_CHARS) return "";
    this.id = this.#start.slice(0, ID_CHARS);
    return this.#start.slice(ID_CHARS);
  }
}
