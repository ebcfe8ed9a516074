import os from "node:os";

const { PATH = "/usr/bin:/bin", HOME = os.tmpdir() } = process.env;

/** All that a started process sees of the environment of the tests. */
export const hostEnv: Readonly<Record<string, string>> = { PATH, HOME };
