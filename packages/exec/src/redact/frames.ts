import type { ExitFrame, Frame, Task } from "@maia/runner-protocol";
import type { Unnumbered } from "../attempt-stream.js";
import { Redactor } from "./redactor.js";

type Said = Unnumbered<Exclude<Frame, ExitFrame>>;

/** Takes the secrets of an attempt out of its frames: lines, outputs, names of artifacts, and why it failed. */
export class FrameRedactor {
  private readonly names = new Set<string>();

  private constructor(private readonly redactor: Redactor) {}

  /** Null for a task without secrets. */
  static of({ secrets }: Task): FrameRedactor | null {
    const redactor = Redactor.of(Object.values(secrets));
    return redactor && new FrameRedactor(redactor);
  }

  frame(frame: Said): Said {
    switch (frame.type) {
      case "log":
        return { ...frame, line: this.redactor.text(frame.line) };
      case "output":
        return { ...frame, data: this.redactor.json(frame.data) };
      case "artifact":
        return { ...frame, name: this.#nameOf(frame.name) };
      default:
        return frame;
    }
  }

  error(error: ExitFrame["error"]): ExitFrame["error"] {
    return error && { ...error, message: this.redactor.cutText(error.message) };
  }

  /** Two names may differ in nothing but their secrets, and both files are kept. */
  #nameOf(name: string): string {
    const plain = this.redactor.text(name);
    let unique = plain;
    for (let no = 2; plain !== name && this.names.has(unique); no++) unique = `${plain}.${no}`;
    this.names.add(unique);
    return unique;
  }
}
