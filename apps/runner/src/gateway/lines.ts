import { type ArtifactFrame, type Frame, FrameDecoder } from "@maia/runner-protocol";

/** What whole lines of a spool hold. */
export interface LinesFacts {
  /** How many frames have a number: all but the exit. */
  readonly numbered: number;
  readonly artifacts: readonly ArtifactFrame[];
}

export function readLines(lines: Uint8Array): LinesFacts {
  const frames: Frame[] = [];
  new FrameDecoder().push(lines, frames);
  return {
    numbered: frames.filter((frame) => "seq" in frame).length,
    artifacts: frames.filter((frame) => frame.type === "artifact"),
  };
}

/** The lines before the artifact of that content. */
export function linesBefore(lines: Uint8Array, sha256: string): Uint8Array {
  const at = Buffer.from(lines.buffer, lines.byteOffset, lines.length).indexOf(`"sha256":"${sha256}"`);
  return lines.subarray(0, lines.lastIndexOf(NEWLINE, at) + 1);
}

const NEWLINE = 0x0a;
