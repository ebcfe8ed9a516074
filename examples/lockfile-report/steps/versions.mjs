/** The same as versions.py, for machines without python3. */
export default async function versions({ params, upstream }) {
  const byName = new Map();
  for (const { name, version } of upstream.parse.packages) byName.set(name, [...(byName.get(name) ?? []), version]);
  const repeated = [...byName].filter(([, versions]) => versions.length > 1);
  repeated.sort(([a, some], [b, others]) => others.length - some.length || (a < b ? -1 : 1));
  console.log(`${repeated.length} packages come in more than one version`);
  const rows = repeated.slice(0, params.top).map(([name, versions]) => ({ name, versions: versions.sort() }));
  return { repeatedCount: repeated.length, repeated: rows, language: "node" };
}
