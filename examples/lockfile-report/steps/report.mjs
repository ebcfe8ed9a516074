/** Writes the report as Markdown, as a file and as the run's output. */
export default async function report({ artifacts, input, upstream }) {
  const { parse, scopes, versions, chart } = upstream;
  const markdown = `# What ${parse.fileName} holds

${parse.count} packages in ${scopes.scopeCount} scopes. ${versions.repeatedCount} of them come in more than one version.

![Packages by scope](${chart.file})

## Largest scopes

| scope | packages |
|---|---:|
${scopes.top.map(({ scope, count }) => `| ${scope} | ${count} |`).join("\n")}

## Packages in more than one version

| package | versions |
|---|---|
${versions.repeated.map(({ name, versions }) => `| ${name} | ${versions.join(", ")} |`).join("\n")}

Counted by ${input.runId}; the last table in ${versions.language}.
`;
  await artifacts.write("report.md", markdown);
  console.log(`wrote report.md, ${markdown.length} characters`);
  return { markdown };
}
