export default async function fetchIt({ input, params }) {
  const { attemptNo } = input;
  console.log(`attempt ${attemptNo} of at most 4`);
  if (attemptNo < params.succeedsAt) throw new Error(`the other side did not answer (attempt ${attemptNo})`);
  return { attempts: attemptNo, value: 42 };
}
