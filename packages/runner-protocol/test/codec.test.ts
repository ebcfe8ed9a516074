import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  decodeFrameBatches,
  decodeFrames,
  encodeFrame,
  encodeFrames,
  type Frame,
  MAX_LINE_BYTES,
  ProtocolError,
} from "../src/index.js";
import { anyFrame, anyLine } from "./arbitraries.js";

const log = (fields: object = {}) =>
  JSON.stringify({ type: "log", seq: 1, stream: "stdout", line: "x", at: "2026-11-20T12:00:00.123Z", ...fields });
const exit = (fields: object = {}) =>
  JSON.stringify({ type: "exit", lastSeq: 1, exitCode: 0, signal: null, reason: "exited", error: null, ...fields });

async function* chunksOf(...chunks: (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
}

/** What comes out: the frames, and the code of the fault that ended them. */
async function outcome(chunks: AsyncIterable<Uint8Array>): Promise<{ frames: Frame[]; fault: string | null }> {
  const frames: Frame[] = [];
  try {
    for await (const frame of decodeFrames(chunks)) frames.push(frame);
    return { frames, fault: null };
  } catch (error) {
    if (error instanceof ProtocolError) return { frames, fault: error.code };
    throw error;
  }
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

describe("frames on the wire", () => {
  it("come out as they went in, however the bytes are cut", async () => {
    const property = fc.asyncProperty(
      fc.array(anyFrame),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (frames, places) => {
        const bytes = Buffer.from(encodeFrames(frames));
        expect(await outcome(chunksOf(...cut(bytes, places)))).toEqual({ frames, fault: null });
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  it("give the same frames or the same fault for any bytes, however they are cut", async () => {
    const lines = fc.array(anyLine, { maxLength: 8 });
    const property = fc.asyncProperty(
      lines,
      fc.boolean(),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (lines, closed, places) => {
        const bytes = Buffer.concat(
          lines
            .flatMap((line, index) => (index > 0 ? [Buffer.from("\n"), line] : [line]))
            .concat(closed ? [Buffer.from("\n")] : []),
        );
        const whole = await outcome(chunksOf(bytes));
        expect(await outcome(chunksOf(...cut(bytes, places)))).toEqual(whole);
        expect(await outcome(chunksOf(...Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))))).toEqual(
          whole,
        );
      },
    );
    await fc.assert(property, { numRuns: 1_000 });
  });

  it("may have Windows line ends, blank lines, and fields and types of a later version", async () => {
    const bytes = `\n\r\n${log({ later: { deep: [1] } })}\r\n{"type":"metric","value":3}\n{"type":"heartbeat"}\n`;
    const { frames, fault } = await outcome(chunksOf(bytes));
    expect(fault).toBeNull();
    expect(frames).toEqual([
      { type: "log", seq: 1, stream: "stdout", line: "x", at: "2026-11-20T12:00:00.123Z" },
      { type: "heartbeat" },
    ]);
  });

  it("come in one batch per chunk, and what came before a fault is not lost", async () => {
    const batches: number[] = [];
    const reading = (async () => {
      for await (const batch of decodeFrameBatches(
        chunksOf(`${log()}\n${log({ seq: 2 })}\n`, `${log({ seq: 3 })}\nnonsense\n${log()}\n`),
      ))
        batches.push(batch.length);
    })();
    await expect(reading).rejects.toMatchObject({ name: "ProtocolError", code: "bad_json" });
    expect(batches).toEqual([2, 1]);
  });

  it.each([
    ["a line that is cut off by the end", log(), "cut_off"],
    ["an exit that lacks its newline", exit(), "cut_off"],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22, 0x0a]), "bad_utf8"],
    ["a byte order mark", `\ufeff${log()}\n`, "bad_json"],
    ["half a frame", `${log().slice(0, 20)}\n`, "bad_json"],
    ["a list", "[]\n", "bad_frame"],
    ["a frame without a type", '{"seq":1}\n', "bad_frame"],
    ["a type that is no string", '{"type":1}\n', "bad_frame"],
    ["a type hidden in __proto__", '{"__proto__":{"type":"heartbeat"}}\n', "bad_frame"],
    ...["0", "-1", "1.5", "9007199254740992", '"1"', "null", "1e999"].map(
      (seq) => [`seq ${seq}`, `${log().replace('"seq":1', `"seq":${seq}`)}\n`, "bad_frame"] as const,
    ),
    ...['"0"', "-1", "256", "0.5", "true"].map(
      (code) =>
        [`exit code ${code}`, `${exit().replace('"exitCode":0', `"exitCode":${code}`)}\n`, "bad_frame"] as const,
    ),
    ["an exit without a code", `${exit({ exitCode: undefined })}\n`, "bad_frame"],
    ["a reason that nobody knows", `${exit({ reason: "won" })}\n`, "bad_frame"],
    ["a signal that is none", `${exit({ signal: "9" })}\n`, "bad_frame"],
    ["a stream that nobody knows", `${log({ stream: "stdin" })}\n`, "bad_frame"],
    ["a time that is none", `${log({ at: "2026-13-45T12:00:00.123Z" })}\n`, "bad_frame"],
    ["a time without milliseconds", `${log({ at: "2026-11-20T12:00:00Z" })}\n`, "bad_frame"],
    ["a line with half a character", `${log().replace('"x"', '"\\ud83d"')}\n`, "bad_frame"],
    [
      "an artifact above its folder",
      '{"type":"artifact","seq":1,"name":"../x","sha256":"0","sizeBytes":1,"mime":""}\n',
      "bad_frame",
    ],
    ["an output that is a list", '{"type":"output","seq":1,"data":[]}\n', "bad_frame"],
    [
      "an output with __proto__ inside",
      '{"type":"output","seq":1,"data":{"a":[{"__proto__":{"x":1}}]}}\n',
      "bad_frame",
    ],
    ["an output with a number that JSON cannot write", '{"type":"output","seq":1,"data":{"a":1e999}}\n', "bad_frame"],
    [
      "an output too deep to be written again",
      `{"type":"output","seq":1,"data":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}\n`,
      "bad_frame",
    ],
  ])("refuses %s", async (_what, bytes, code) => {
    expect(await outcome(chunksOf(bytes))).toEqual({ frames: [], fault: code });
  });

  it("names the field that is wrong", async () => {
    const reading = decodeFrames(chunksOf(`${exit({ lastSeq: -1 })}\n`)).next();
    await expect(reading).rejects.toMatchObject({
      code: "bad_frame",
      field: "lastSeq",
      message: expect.stringContaining("lastSeq must be"),
    });
  });

  it("may be as long as the limit and not one byte longer, also where the line never ends", async () => {
    const longest = log({ line: "é".repeat((MAX_LINE_BYTES - log({ line: "" }).length) / 2) });
    const length = Buffer.byteLength(longest);
    expect(length === MAX_LINE_BYTES || length === MAX_LINE_BYTES - 1).toBe(true);
    const fits = Buffer.from(length === MAX_LINE_BYTES ? longest : longest.replace("é", "eé"));
    expect((await outcome(chunksOf(fits, "\n"))).frames).toHaveLength(1);
    expect((await outcome(chunksOf(Buffer.concat([fits, Buffer.from("\n")])))).frames).toHaveLength(1);
    const tooLong = { frames: [], fault: "too_long" };
    expect(await outcome(chunksOf(Buffer.concat([fits, Buffer.from(" \n")])))).toEqual(tooLong);
    expect(await outcome(chunksOf(fits, " ", "\n"))).toEqual(tooLong);
    expect(await outcome(chunksOf(fits, " "))).toEqual(tooLong);
  });

  it("are refused before they leave when they are too long", () => {
    const frame = { type: "output", seq: 1, data: { text: "x".repeat(MAX_LINE_BYTES) } } as const;
    expect(() => encodeFrame(frame)).toThrow(expect.objectContaining({ code: "too_long" }));
  });

  it("need no more memory than the longest line, also from single bytes that never end", async () => {
    let sent = 0;
    const byte = Buffer.from("x");
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; sent < 100 * 1_048_576; sent++) yield byte;
    }
    const before = process.memoryUsage().arrayBuffers;
    expect((await outcome(endless())).fault).toBe("too_long");
    expect(sent).toBe(MAX_LINE_BYTES);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MAX_LINE_BYTES);
  });

  it("are read whole however the network cuts two hundred thousand of them (L6, L7)", async () => {
    const frames = Array.from({ length: 200_000 }, (_, index) => ({
      ...JSON.parse(log({ seq: index + 1, line: `line ${index} of a step that has much to say` })),
    }));
    const bytes = Buffer.from(encodeFrames(frames));
    const pieces = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, index) =>
      bytes.subarray(index * 65_536, (index + 1) * 65_536),
    );
    let count = 0;
    for await (const batch of decodeFrameBatches(chunksOf(...pieces))) count += batch.length;
    expect(count).toBe(frames.length);
  });
});
