export default async function use({ upstream }) {
  console.log(`got ${upstream.fetch.value} after ${upstream.fetch.attempts} attempts`);
  return {};
}
