// The compiler's helper for `using` names the error of a failed disposal so; without it that error hides the first one.
globalThis._SuppressedError = class extends SuppressedError {
  constructor(error, suppressed, message) {
    super(error, suppressed, `${message}: ${error?.stack}\nand then: ${suppressed?.stack}`);
  }
};
