import type { Bells } from "./bells.js";
import type { Provider } from "./providers/provider.js";
import type { DbLog } from "./types.js";

/** How often to look whether somebody else has committed. A look takes some microseconds. */
const LOOK_MS = 100;
/** How long after a commit its bell may ring at the latest. */
const GRACE_MS = 25;

/** The net under the doorbells: rings when another process has committed and nobody told us. Returns the way to stop. */
export async function watchCommits(provider: Provider, bells: Bells, log: DbLog): Promise<() => void> {
  let seen = await provider.commitsOfOthers();
  let heard = bells.heard;
  let grace: NodeJS.Timeout | null = null;
  const wasTold = () => {
    const told = bells.heard !== heard;
    heard = bells.heard;
    return told;
  };
  const catchUp = () => {
    grace = null;
    if (wasTold()) return;
    bells.ringAll();
    bells.findPeers().catch((error: unknown) => log("warn", "the other processes' bells cannot be found", { error }));
  };
  const look = async () => {
    const now = await provider.commitsOfOthers();
    const changed = now !== seen;
    seen = now;
    if (!wasTold() && changed) grace ??= setTimeout(catchUp, GRACE_MS).unref();
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log("warn", "the database cannot be watched", { error }));
  }, LOOK_MS).unref();
  return () => {
    clearInterval(timer);
    if (grace) clearTimeout(grace);
  };
}
