/** Where the bytes of a job's files and artifacts stay: with Maia, or in a store of the runner that carries it out. */
export const dataResidencies = ["maia", "runner"] as const;

export type DataResidency = (typeof dataResidencies)[number];

/** Why a job whose data stays at its runner cannot be taken in, at the field of the request that is to blame. */
export interface ResidencyProblem {
  readonly pointer: string;
  readonly message: string;
}

/** What a request for a job asks for, as far as it matters to where its data stays. */
export interface ResidencyFacts {
  readonly residency: DataResidency;
  /** The name of its environment. */
  readonly environment: string;
  /** True where Maia itself carries it out. */
  readonly isHosted: boolean;
  /** True where the request names the runner. */
  readonly namesRunner: boolean;
}

/** What keeps a runner from keeping a job's data, or null. Only one that dials the gateway has a store of its own. */
export function residencyProblem(facts: ResidencyFacts): ResidencyProblem | null {
  const { residency, environment, isHosted, namesRunner } = facts;
  if (residency === "maia" || !isHosted) return null;
  const why = `environment ${environment} keeps its data at the runner (dataResidency), and the hosted runner keeps none`;
  const fix = "name a runner that dials the gateway, or make one the environment's defaultRunner";
  return { pointer: namesRunner ? "/runner" : "/environment", message: `${why}; ${fix}` };
}
