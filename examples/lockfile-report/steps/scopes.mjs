/** Counts the packages of each scope; those without a scope stand alone. */
export default async function scopes({ params, upstream }) {
  const counts = new Map();
  for (const { name } of upstream.parse.packages) {
    const scope = name.startsWith("@") ? name.split("/")[0] : "(no scope)";
    counts.set(scope, (counts.get(scope) ?? 0) + 1);
  }
  const rows = [...counts].map(([scope, count]) => ({ scope, count })).sort((a, b) => b.count - a.count);
  console.log(`${rows.length} scopes, the largest is ${rows[0]?.scope}`);
  return { scopeCount: rows.length, top: rows.slice(0, params.top) };
}
