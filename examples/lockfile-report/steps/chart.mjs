const ROW = 28;
const LEFT = 190;
const BAR = 360;

/** Draws the largest scopes as bars. */
export default async function chart({ artifacts, upstream }) {
  const { top } = upstream.scopes;
  const largest = Math.max(...top.map(({ count }) => count), 1);
  const rows = top.map(({ scope, count }, at) => row(scope, count, at * ROW, (count / largest) * BAR));
  const [width, height] = [LEFT + BAR + 60, top.length * ROW + 20];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
<title>Packages by scope</title>
${rows.join("\n")}
</svg>
`;
  await artifacts.write("chart.svg", svg);
  console.log(`drew ${rows.length} bars`);
  return { file: "chart.svg" };
}

function row(label, count, y, length) {
  const bar = `<rect x="${LEFT}" y="${y + 12}" width="${length.toFixed(1)}" height="18" rx="3" fill="#3b6fd8"/>`;
  const name = `<text x="${LEFT - 10}" y="${y + 26}" text-anchor="end" fill="#555">${escaped(label)}</text>`;
  return `${name}${bar}<text x="${(LEFT + length + 8).toFixed(1)}" y="${y + 26}" fill="#555">${count}</text>`;
}

function escaped(text) {
  return text.replace(/[<>&"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
