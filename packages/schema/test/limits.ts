/** The limits that Maia starts with. */
export const limits = { validateMs: 500, maxBytes: 65_536, nodesMax: 2_000 };

/** The 1.5 KB schema that kills a process which compiles or runs it unguarded: 24 pairs of alternatives in each other. */
export function bomb(): { [key: string]: unknown } {
  const defs: { [name: string]: unknown } = { d24: { type: "string" } };
  for (let i = 0; i < 24; i++)
    defs[`d${i}`] = { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
  return { type: "object", $defs: defs, allOf: [{ $ref: "#/$defs/d0" }] };
}
