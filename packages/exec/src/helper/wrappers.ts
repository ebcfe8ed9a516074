import { lstatSync, readlinkSync } from "node:fs";
import type { IsolationLevel } from "@maia/runner-protocol";
import { type Machine, systemRoots } from "./machine.js";

/** Where the things lie that a step's process needs, as the helper sees them. */
export interface Places {
  /** The executor's folder, as whoever starts steps can reach it. */
  readonly home: string;
  readonly bootstrap: string;
  readonly node: string;
  readonly npm: string | null;
  /** The folder of installed packages. */
  readonly deps: string | null;
  /** Files and folders of the Python, by the path under which it must be found. */
  readonly python: readonly { readonly from: string; readonly to: string }[];
}

/** Under whose name steps run, when that is not the helper's. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface CommandLine {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** One way to put a command into isolation. */
export interface Wrapper {
  readonly level: IsolationLevel;
  readonly name: string;
  /** How the processes of a slot are told from others. */
  readonly tree: "namespace" | "group";
  /** Whose processes a limit of their number counts: the slot's alone, all steps' together, or also other people's. */
  readonly counts: "slot" | "steps" | "others";
  readonly wrap: (slot: string, inner: readonly string[], alsoReads?: readonly string[]) => CommandLine;
}

/** The user that a step is inside a user namespace; /etc/passwd there names it. */
export const INNER_ID = 1000;

const NEW_NAMESPACES = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"];
/** No process that bubblewrap would leave to the machine's first one: our own waits in the namespace. */
const KEPT = ["--as-pid-1", "--die-with-parent", "--new-session"];
const NEW_USER = ["--unshare-user", "--uid", String(INNER_ID), "--gid", String(INNER_ID)];

/** bubblewrap with mounts of its own: only the system's programs and the slot can be seen. */
export function sandbox(
  machine: Machine,
  places: Places,
  owner: Owner | null,
  nested: "--disable-userns" | null,
): Wrapper | null {
  const { bwrap } = machine;
  if (!bwrap) return null;
  const common = [
    ...NEW_USER,
    ...(nested ? [nested] : []),
    ...NEW_NAMESPACES,
    ...KEPT,
    ...systemMounts(places),
    ...interpreterMounts(machine, places),
  ];
  return {
    level: "sandbox",
    name: "bubblewrap",
    tree: "namespace",
    counts: "slot",
    wrap: (slot, inner, alsoReads = []) => {
      const folder = `${places.home}/slots/${slot}`;
      const also = alsoReads.flatMap((path) => ["--ro-bind-try", path, path]);
      const own = ["--bind", `${folder}/tmp`, "/tmp", "--ro-bind", `${folder}/run`, "/maia/run"];
      const work = ["--bind", `${folder}/work`, "/maia/work", "--remount-ro", "/", "--chdir", "/maia/work"];
      return { file: bwrap, args: [...common, ...also, ...own, ...work, "--", ...inner], ...owner };
    },
  };
}

function systemMounts(places: Places): string[] {
  const roots = systemRoots().flatMap((folder) =>
    lstatSync(folder).isSymbolicLink() ? ["--symlink", readlinkSync(folder), folder] : ["--ro-bind", folder, folder],
  );
  const live = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives"];
  return [
    ...["--ro-bind", "/usr", "/usr", ...roots],
    ...["--ro-bind", `${places.home}/etc`, "/etc", ...live.flatMap((path) => ["--ro-bind-try", path, path])],
    ...["--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"],
  ];
}

function interpreterMounts(machine: Machine, places: Places): string[] {
  const node = machine.node.startsWith("/usr/") ? [] : ["--ro-bind", places.node, "/maia/bin/node"];
  const python = places.python.flatMap(({ from, to }) => ["--ro-bind", from, to]);
  const npm = places.npm === null || places.npm.startsWith("/usr/") ? [] : ["--ro-bind", places.npm, "/maia/npm"];
  const deps = places.deps === null ? [] : ["--ro-bind", places.deps, "/maia/deps"];
  // A slot gets its packages when it gets its step; whatever lies in `run` or `work` finds them on the way up.
  const link = ["--symlink", "run/node_modules", "/maia/node_modules"];
  return [...node, ...npm, ...python, ...deps, "--ro-bind", places.bootstrap, "/maia/bootstrap", ...link];
}

/** bubblewrap with the host's files in view and processes of its own. */
export function pidNamespace(machine: Machine, places: Places, owner: Owner | null): Wrapper | null {
  const { bwrap } = machine;
  if (!bwrap) return null;
  const common = [...NEW_USER, "--unshare-pid", "--unshare-ipc", ...KEPT];
  return {
    level: "pid-namespace",
    name: "bubblewrap",
    tree: "namespace",
    counts: "slot",
    wrap: (slot, inner) => {
      const chdir = ["--chdir", `${places.home}/slots/${slot}/work`];
      const mounts = ["--dev-bind", "/", "/", "--proc", "/proc"];
      return { file: bwrap, args: [...common, ...mounts, ...chdir, "--", ...inner], ...owner };
    },
  };
}

/** util-linux's unshare, where bubblewrap is absent. */
export function pidNamespaceByUnshare(machine: Machine, places: Places, owner: Owner | null): Wrapper | null {
  const { unshare, setpriv } = machine;
  if (!unshare || !setpriv) return null;
  const isRoot = process.getuid?.() === 0;
  return {
    level: "pid-namespace",
    name: "unshare",
    tree: "namespace",
    counts: owner ? "steps" : "others",
    wrap: (slot, inner) => {
      const namespaces = [...(isRoot ? [] : ["--user", "--map-root-user"]), "--pid", "--mount-proc"];
      const args = [...namespaces, "--fork", "--kill-child", "--", setpriv, ...privileges(owner), "--", ...inner];
      // The keeper must not outlive the helper, nor the namespace its keeper.
      const cwd = `${places.home}/slots/${slot}/work`;
      return { file: setpriv, args: ["--pdeathsig", "KILL", "--", unshare, ...args], cwd };
    },
  };
}

/** A process group of its own and nothing more. */
export function processGroup(machine: Machine, places: Places, owner: Owner | null): Wrapper {
  const { setpriv } = machine;
  return {
    level: "process-group",
    name: setpriv ? "setpriv" : "plain",
    tree: "group",
    counts: owner ? "steps" : "others",
    wrap: (slot, inner) => {
      const cwd = `${places.home}/slots/${slot}/work`;
      if (!setpriv) return { file: inner[0]!, args: inner.slice(1), cwd, ...owner };
      return { file: setpriv, args: ["--pdeathsig", "KILL", ...privileges(owner), "--", ...inner], cwd };
    },
  };
}

function privileges(owner: Owner | null): string[] {
  const identity = owner ? ["--reuid", String(owner.uid), "--regid", String(owner.gid), "--clear-groups"] : [];
  return [...identity, "--no-new-privs"];
}

/** Where an installation finds npm's first file. */
export function npmProgram(places: Places, level: IsolationLevel): string | null {
  if (places.npm === null) return null;
  const folder = level === "sandbox" && !places.npm.startsWith("/usr/") ? "/maia/npm" : places.npm;
  return `${folder}/bin/npm-cli.js`;
}

/** Where a step finds node: in the sandbox, unless it is the system's, at a place of its own. */
export function nodeProgram(machine: Machine, places: Places, level: IsolationLevel): string {
  if (machine.node.startsWith("/usr/")) return machine.node;
  return level === "sandbox" ? "/maia/bin/node" : places.node;
}
