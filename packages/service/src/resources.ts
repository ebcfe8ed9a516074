/** What a service has opened, closed again in the opposite order. */
export class Resources implements AsyncDisposable {
  #closers: (() => Promise<void> | void)[] = [];

  /** Takes something that is to be disposed of later. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    const close = Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose] : resource[Symbol.dispose];
    this.defer(() => close.call(resource));
    return resource;
  }

  /** Takes something that is to be done at the end. */
  defer(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** Hands everything over to a new owner: leaving this one's scope closes nothing any more. */
  move(): Resources {
    const moved = new Resources();
    moved.#closers = this.#closers;
    this.#closers = [];
    return moved;
  }

  /** Closes all, also when some fail. @throws the first failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
