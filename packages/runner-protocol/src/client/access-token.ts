import { GatewayError } from "./gateway-problems.js";

export interface IssuedToken {
  readonly text: string;
  readonly lifetimeMs: number;
}

/** A token is renewed when this part of its life is over. */
const RENEW_AT = 0.75;
/** How long to wait before a renewal that failed is tried again while the old token still holds. In milliseconds. */
const RENEW_AGAIN_MS = 10_000;
/** How long a refused secret is not sent again, at first and at most. In milliseconds. */
const REFUSED_MS = { first: 5_000, most: 60_000 } as const;

/** The access token of a client: fetched when it is needed, by one request at a time, and renewed before it ends. */
export class AccessToken {
  #token: { readonly text: string; readonly endsAt: number; renewAt: number } | null = null;
  #fetching: Promise<string> | null = null;
  #refused: { readonly error: GatewayError; readonly until: number; readonly waitMs: number } | null = null;

  constructor(
    /** Exchanges the client's id and secret. */
    private readonly fetchToken: () => Promise<IssuedToken>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** True when the secret was refused the last time that it was sent. */
  get isRefused(): boolean {
    return this.#refused !== null;
  }

  /** A token that holds. While a renewal fails, the old one serves until it ends. @throws {GatewayError} */
  async get(): Promise<string> {
    const token = this.#token;
    if (token && this.now() < token.renewAt) return token.text;
    try {
      return await this.#fetch();
    } catch (error) {
      if (!token || this.#token !== token || this.now() >= token.endsAt) throw error;
      token.renewAt = this.now() + RENEW_AGAIN_MS;
      return token.text;
    }
  }

  /** Says that a token is refused, so that the next one is a new one. */
  drop(text: string): void {
    if (this.#token?.text === text) this.#token = null;
  }

  #fetch(): Promise<string> {
    if (this.#refused && this.now() < this.#refused.until) return Promise.reject(this.#refused.error);
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<string> {
    const sentAt = this.now();
    try {
      const { text, lifetimeMs } = await this.fetchToken();
      this.#token = { text, endsAt: sentAt + lifetimeMs, renewAt: sentAt + lifetimeMs * RENEW_AT };
      this.#refused = null;
      return text;
    } catch (error) {
      if (error instanceof GatewayError && error.code === "CREDENTIALS_REFUSED") this.#noteRefusal(error);
      throw error;
    }
  }

  #noteRefusal(error: GatewayError): void {
    const waitMs = Math.min(this.#refused ? this.#refused.waitMs * 2 : REFUSED_MS.first, REFUSED_MS.most);
    this.#refused = { error, waitMs, until: this.now() + waitMs };
  }
}
