import { expect, it } from "@jest/globals";
import { Resources } from "./resources.js";

it("closes what was opened in the opposite order, also when some fail, and nothing that was handed over", async () => {
  const closed: string[] = [];
  const named = (name: string) => ({ [Symbol.asyncDispose]: async () => void closed.push(name) });
  let moved: Resources;
  {
    await using resources = new Resources();
    resources.use(named("first"));
    resources.defer(() => {
      closed.push("second");
      throw new Error("second cannot be closed");
    });
    resources.use(named("third"));
    moved = resources.move();
  }
  expect(closed).toEqual([]);
  await expect(moved[Symbol.asyncDispose]()).rejects.toThrow("second cannot be closed");
  expect(closed).toEqual(["third", "second", "first"]);
});
