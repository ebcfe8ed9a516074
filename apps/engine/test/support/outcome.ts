import { ExecutorError, type Frame } from "@maia/runner-protocol";

/** What comes until the end, and the error code that ended it. */
export async function outcome(
  stream: AsyncIterable<readonly Frame[]>,
): Promise<{ frames: Frame[]; fault: string | null }> {
  const frames: Frame[] = [];
  try {
    for await (const batch of stream) frames.push(...batch);
    return { frames, fault: null };
  } catch (error) {
    if (error instanceof ExecutorError) return { frames, fault: error.code };
    throw error;
  }
}
