import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { OpenMessage, ReadyMessage } from "../messages.js";
import { writeEtc } from "./etc.js";
import type { HelperSetup } from "./helper.js";
import { exploreMachine, platform, stepPath } from "./machine.js";
import { probeIsolation } from "./probe.js";
import { type Staged, stage } from "./stage.js";
import { nodeProgram, npmProgram, type Wrapper } from "./wrappers.js";

const LANGUAGE = "C.UTF-8";

export type Prepared = { readonly setup: HelperSetup; readonly ready: ReadyMessage } | { readonly refused: string };

/** Finds out what this machine offers and how steps are going to be started here. */
export async function prepare(open: OpenMessage, searchPath: string, stagePath: string | null): Promise<Prepared> {
  for (const folder of ["slots", "pipes"]) mkdirSync(`${open.home}/${folder}`, { recursive: true });
  writeEtc(`${open.home}/etc`);
  const machine = await exploreMachine(searchPath);
  const staged = await stage(machine, open, stagePath);
  const { wrapper, missing } = await probeIsolation(open.isolation, machine, staged.places, staged.owner);
  if (!wrapper) return { refused: missing.map(({ level, reason }) => `${level}: ${reason}`).join("; ") };
  const path = stepPath(dirname(nodeProgram(machine, staged.places, wrapper.level)), machine.python);
  const environment = { PATH: path, LANG: LANGUAGE, TZ: open.timeZone };
  const slot = wrapper.level === "sandbox" ? "/maia" : `${staged.places.home}/slots/{slot}`;
  const ready: ReadyMessage = {
    t: "ready",
    report: { level: wrapper.level, missing, warnings: [...staged.warnings, ...warnings(wrapper, staged)] },
    viewRun: `${slot}/run`,
    viewWork: `${slot}/work`,
    owner: staged.owner,
    runIsReadOnly: wrapper.level === "sandbox" || staged.owner !== null,
    path,
    lang: LANGUAGE,
    interpreters: { node: true, python: machine.python !== null, shell: true },
    viewDeps: wrapper.level === "sandbox" ? "/maia/deps" : (staged.places.deps ?? ""),
    tools: {
      node: nodeProgram(machine, staged.places, wrapper.level),
      npm: npmProgram(staged.places, wrapper.level),
      python: machine.python?.executable ?? null,
      abi: { platform: platform(), node: `node${process.versions.modules}`, python: machine.python?.abi ?? null },
    },
  };
  return { setup: { open, machine, places: staged.places, wrapper, environment }, ready };
}

function warnings({ level }: Wrapper, { owner }: Staged): string[] {
  if (level === "sandbox" || owner) return [];
  return [`isolation is "${level}" and steps run as the same user as Maia: they can read what Maia can`];
}
