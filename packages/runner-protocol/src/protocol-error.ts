/** What is wrong with bytes that came over the wire. */
export type ProtocolErrorCode =
  | "cut_off" // the stream ended inside a line
  | "too_long" // a line is longer than MAX_LINE_BYTES
  | "bad_utf8" // a line is not UTF-8
  | "bad_json" // a line is no JSON
  | "bad_frame" // a line is no frame
  | "bad_sequence" // frames contradict each other
  | "bad_task" // a task is not acceptable
  | "bad_version"; // another major version of the protocol

/** Bytes or a value that do not keep to the protocol. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";

  constructor(
    readonly code: ProtocolErrorCode,
    message: string = code,
    /** The field that is wrong, such as `files[2].path`, where one is. */
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

/** A field of a frame or a task that is wrong, named in the message. */
export function badField(code: ProtocolErrorCode, field: string, problem: string): ProtocolError {
  return new ProtocolError(code, `${field} ${problem}`, field);
}
