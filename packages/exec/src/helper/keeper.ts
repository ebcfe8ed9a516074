import { ENDED_PATH } from "../slot-view.js";

/** dash and its kin remember how a process ended that was waited for. */
const WAIT_IN_DASH = `"$@" & exec 3>&-; wait $!; s=$?; [ $s -le 128 ] || [ -e ${ENDED_PATH} ] || { jobs > ${ENDED_PATH}; } 2>/dev/null; exit $s`;

/** What bash answers to a wait that something else has ended: 128 and the number of SIGCHLD. */
const BROKEN_OFF = 145;

/**
 * bash forgets it with the wait, and remembers it until then: it is written down as soon as the signal comes that something
 * has ended. That signal breaks a wait off, so that 145 may stand for itself or for a wait to be repeated.
 */
const WAIT_IN_BASH = [
  `d=; trap '[ "$d" ] || { jobs > ${ENDED_PATH}; kill -0 $p || d=1; } 2>/dev/null' CHLD`,
  `"$@" & p=$!; exec 3>&-`,
  `while wait $p; s=$?; [ $s = ${BROKEN_OFF} ] && kill -0 $p 2>/dev/null; do :; done`,
  `if [ $s = ${BROKEN_OFF} ]; then read -r w < ${ENDED_PATH}; case $w in *"Done(${BROKEN_OFF})"*) ;; *) wait $p; s=$? ;; esac; fi`,
  "exit $s",
].join("; ");

/**
 * The first process of a namespace: it waits for the step and takes in what the step leaves behind. The step's own
 * process would get no signals in its place. A code above 128 may stand for a signal, so the shell leaves word whether the
 * step itself gave it: `Done(143)` and not `Terminated`.
 */
export const WAIT = `if [ "\${BASH_VERSION-}" ]; then ${WAIT_IN_BASH}; else ${WAIT_IN_DASH}; fi`;
