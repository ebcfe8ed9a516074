import { type ArtifactFrame, type Frame, FrameDecoder } from "@maia/runner-protocol";

/** What whole lines of a spool hold. */
export interface LinesFacts {
  /** How many frames have a number: all but the exit. */
  readonly numbered: number;
  readonly artifacts: readonly ArtifactFrame[];
  readonly hasExit: boolean;
}

export function readLines(lines: Uint8Array): LinesFacts {
  const frames: Frame[] = [];
  new FrameDecoder().push(lines, frames);
  return {
    numbered: frames.filter((frame) => "seq" in frame).length,
    artifacts: frames.filter((frame) => frame.type === "artifact"),
    hasExit: frames.at(-1)?.type === "exit",
  };
}
