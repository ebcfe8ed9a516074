import { describe, expect, it } from "@jest/globals";
import { Silence } from "./silence.js";

const at = (heartbeatSeq: number) => [{ id: "ins_a", heartbeatSeq }];

describe("An instance's silence", () => {
  it("grows while its counter stands still, and ends when it moves", () => {
    const silence = new Silence(1_000, 300);
    expect(silence.look(at(1), 1, 0).get("ins_a")).toBe(0);
    expect(silence.look(at(1), 2, 100).get("ins_a")).toBe(100);
    expect(silence.look(at(1), 3, 250).get("ins_a")).toBe(250);
    expect(silence.look(at(2), 4, 300).get("ins_a")).toBe(0);
  });

  it("does not count the time in which we ourselves were stopped (G7)", () => {
    const silence = new Silence(1_000, 300);
    silence.look(at(1), 1, 0);
    expect(silence.look(at(1), 2, 60_000).get("ins_a")).toBe(0);
    expect(silence.look(at(1), 3, 60_200).get("ins_a")).toBe(200);
  });

  it("does not count the time in which no gateway was up", () => {
    const silence = new Silence(1_000, 300);
    silence.look(at(1), 1, 0);
    silence.look(at(1), 1, 200);
    silence.look(at(1), 1, 400);
    expect(silence.look(at(1), 1, 1_400).get("ins_a")).toBe(200);
    expect(silence.look(at(1), 2, 1_500).get("ins_a")).toBe(300);
  });
});
