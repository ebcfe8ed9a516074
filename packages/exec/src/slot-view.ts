/** Where things lie in a slot, as whoever reads the view finds them. */
export interface SlotView {
  readonly run: string;
  readonly work: string;
  readonly input: string;
  /** Where the step tells Maia things. */
  readonly own: string;
  readonly output: string;
  readonly artifacts: string;
  readonly registered: string;
  readonly error: string;
  /** What the first process of a namespace knows of an end that looks like a signal's. */
  readonly ended: string;
}

/** The same from the folder that the first process stands in. */
export const ENDED_PATH = ".maia/ended";

/** The layout of a slot: `run` is Maia's, `work` the step's; what the step tells Maia lies in `work/.maia`. */
export function slotView(run: string, work: string): SlotView {
  const own = `${work}/.maia`;
  return {
    run,
    work,
    input: `${run}/input.json`,
    own,
    output: `${own}/output.json`,
    artifacts: `${work}/artifacts`,
    registered: `${own}/registered`,
    error: `${own}/error.json`,
    ended: `${work}/${ENDED_PATH}`,
  };
}
