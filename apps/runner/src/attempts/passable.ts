import { type ExitFrame, type Frame, outputProblem, pathProblem } from "@maia/runner-protocol";

/**
 * Keeps what a step left from breaking the stream of its frames: an output or an artifact that the wire does not carry
 * becomes a line that says so, and such an output makes the attempt fail with OUTPUT_INVALID.
 */
export class Passable {
  #outputProblem: string | null = null;

  constructor(private readonly clock: () => Date) {}

  frame(frame: Frame): Frame {
    if (frame.type === "output") {
      const problem = outputProblem(frame.data);
      if (problem === null) return frame;
      this.#outputProblem = `the output ${problem}`;
      return this.#line(frame.seq, this.#outputProblem);
    }
    const problem = frame.type === "artifact" ? pathProblem(frame.name) : null;
    if (problem === null || frame.type !== "artifact") return frame;
    return this.#line(frame.seq, `the artifact ${JSON.stringify(frame.name)} is not kept: its name ${problem}`);
  }

  exit(exit: ExitFrame): ExitFrame {
    if (this.#outputProblem === null || exit.error !== null) return exit;
    return { ...exit, error: { code: "OUTPUT_INVALID", message: this.#outputProblem } };
  }

  #line(seq: number, line: string): Frame {
    return { type: "log", seq, stream: "system", line, at: this.clock().toISOString() };
  }
}
