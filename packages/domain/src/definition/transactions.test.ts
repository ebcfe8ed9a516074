import { describe, expect, it } from "@jest/globals";
import { refusal } from "../../test/refusal.js";
import { parseDefinition } from "../definition.js";

describe("the transactions of a definition", () => {
  function transaction(...steps: { key: string; deps?: string[]; transaction?: string; rollback?: boolean }[]) {
    return { name: "tx", steps: steps.map((step) => ({ script: "true", ...step })) };
  }
  const t = "load";

  it("have members and at most one rollback step, for which nobody waits", () => {
    const definition = transaction(
      { key: "a", transaction: t },
      { key: "b", deps: ["a"], transaction: t },
      { key: "undo", deps: ["a"], transaction: t, rollback: true },
    );
    expect(parseDefinition(definition).steps[2]).toMatchObject({ transaction: t, rollback: true });
    expect(
      refusal(
        transaction(
          { key: "a", transaction: t },
          { key: "undo", transaction: t, rollback: true },
          { key: "again", transaction: t, rollback: true },
          { key: "after", deps: ["undo"] },
          { key: "lonely", rollback: true },
          { key: "empty", transaction: "other", rollback: true },
        ),
      ).issues,
    ).toEqual({
      "/steps/2/rollback": "transaction load has a rollback step already: undo",
      "/steps/3/deps/0": "undo runs only after a failure, so nothing can wait for it",
      "/steps/4/rollback": "only a step of a transaction can roll back",
      "/steps/5/rollback": "transaction other has no other step",
    });
  });

  it("hold every step on a path between two members", () => {
    const definition = transaction(
      { key: "a", transaction: t },
      { key: "between", deps: ["a"] },
      { key: "also", deps: ["between"], transaction: "other" },
      { key: "b", deps: ["also"], transaction: t },
      { key: "after", deps: ["b"] },
    );
    expect(Object.keys(refusal(definition).issues)).toEqual(["/steps/1", "/steps/2"]);
  });
});
