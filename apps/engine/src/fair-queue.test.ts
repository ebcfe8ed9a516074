import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { FairQueue } from "./fair-queue.js";

const pushes = fc.array(fc.record({ group: fc.constantFrom("a", "b", "c"), n: fc.nat() }), { maxLength: 60 });

function drain<T>(queue: FairQueue<T>): T[] {
  const out: T[] = [];
  for (let item = queue.next(); item !== undefined; item = queue.next()) out.push(item);
  return out;
}

describe("a fair queue", () => {
  it("gives back everything once, in order within each group", () => {
    fc.assert(
      fc.property(pushes, (items) => {
        const queue = new FairQueue<{ group: string; n: number }>();
        for (const item of items) queue.push(item.group, item);
        const out = drain(queue);
        expect(out).toHaveLength(items.length);
        for (const group of ["a", "b", "c"]) {
          expect(out.filter((item) => item.group === group)).toEqual(items.filter((item) => item.group === group));
        }
      }),
    );
  });

  it("lets a group wait for no more than one turn of each other", () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 100; i++) queue.push("large", `large ${i}`);
    queue.push("small", "small");
    expect([queue.next(), queue.next()]).toEqual(["large 0", "small"]);
  });

  it("forgets a group that is dropped", () => {
    const queue = new FairQueue<number>();
    queue.push("a", 1);
    queue.push("b", 2);
    queue.push("a", 3);
    expect(queue.drop("a")).toEqual([1, 3]);
    expect(drain(queue)).toEqual([2]);
  });
});
