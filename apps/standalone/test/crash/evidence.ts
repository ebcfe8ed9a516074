import type { Deployment } from "../support/deployments.ts";

/**
 * Carries a trial out to its violations. Where there are any, or it fails itself, the data and the logs of its Maia stay,
 * and it is said where.
 */
export async function keepingEvidence(
  maia: Deployment,
  carryOut: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    const violations = await carryOut();
    return violations.length === 0 ? [] : [...violations, keptIn(maia)];
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${keptIn(maia)}`, { cause: error });
  }
}

function keptIn(maia: Deployment): string {
  return `the data and the logs of this Maia are kept in ${maia.keep()}`;
}
