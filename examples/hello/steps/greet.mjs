/** What a step returns is there for the steps that depend on it. What it prints is its log. */
export default async function greet({ params }) {
  const greeting = `Hello, ${params.who}!`;
  console.log(greeting);
  return { greeting };
}
