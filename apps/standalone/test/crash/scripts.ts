/** Tells the sink which attempt started, before anything else: a second line for one attempt is a double start (G6). */
const REPORT_NODE = `await fetch(process.env.SINK + "/" + [process.env.MAIA_RUN_ID, process.env.MAIA_STEP_KEY, process.env.MAIA_ATTEMPT_NO].join(","));`;

/** A node step that says that it starts, and then does what its body says. */
export function nodeStep(body: string, imports = ""): string {
  return `${imports}\nexport default async function (ctx) { ${REPORT_NODE} ${body} }`;
}

/** The same in Python; the body is indented by four. */
export function pythonStep(body: readonly string[], imports: readonly string[] = []): string {
  return [
    "import os, urllib.request",
    ...imports,
    "def main(ctx):",
    "    e = os.environ",
    "    urllib.request.urlopen(e['SINK'] + '/' + ','.join([e['MAIA_RUN_ID'], e['MAIA_STEP_KEY'], e['MAIA_ATTEMPT_NO']]))",
    ...body.map((line) => `    ${line}`),
  ].join("\n");
}
