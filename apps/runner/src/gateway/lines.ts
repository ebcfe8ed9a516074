import { type ArtifactFrame, type Frame, FrameDecoder } from "@maia/runner-protocol";

/** What whole lines of a spool hold: how many frames that are numbered, and the artifacts among them. */
export function readLines(lines: Uint8Array): { readonly numbered: number; readonly artifacts: ArtifactFrame[] } {
  const frames: Frame[] = [];
  new FrameDecoder().push(lines, frames);
  return {
    numbered: frames.filter((frame) => "seq" in frame).length,
    artifacts: frames.filter((frame) => frame.type === "artifact"),
  };
}
