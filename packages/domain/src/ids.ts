import { randomBytes } from "node:crypto";

/** The prefix of each kind of id. */
export const idPrefixes = {
  project: "prj",
  environment: "env",
  workflow: "wf",
  version: "wfv",
  job: "job",
  run: "run",
  attempt: "att",
  artifact: "art",
  file: "file",
  schedule: "sch",
  batch: "bat",
  runner: "rnr",
  instance: "ins",
  pause: "pau",
  command: "cmd",
  activity: "act",
  gateway: "gtw",
  key: "key",
  engine: "eng",
  audit: "aud",
} as const;

export type IdKind = keyof typeof idPrefixes;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"; // Crockford's base 32
const TIME_CHARS = 10; // 50 bits hold milliseconds until the year 37,000
const RANDOM_CHARS = 16; // 80 bits

const digits = new Uint8Array(RANDOM_CHARS);
let lastMs = -1;

/** Random digits for a new millisecond; within one, the number that follows, so that ids of one process keep their order. */
function nextDigits(ms: number): void {
  if (ms !== lastMs || !increment()) drawDigits();
  lastMs = ms;
}

function drawDigits(): void {
  const random = randomBytes(RANDOM_CHARS);
  for (let i = 0; i < RANDOM_CHARS; i++) digits[i] = random[i]! & 31;
}

/** False after the very last number. */
function increment(): boolean {
  for (let i = RANDOM_CHARS - 1; i >= 0; i--) {
    if (digits[i]! < 31) {
      digits[i]!++;
      return true;
    }
    digits[i] = 0;
  }
  return false;
}

/** A new id such as `job_01k…`: a prefix, the time in milliseconds, 80 random bits. Ids sort by the time they were made. */
export function newId(kind: IdKind, now: Date): string {
  nextDigits(now.getTime());
  let text = timeText(now);
  for (const digit of digits) text += ALPHABET[digit];
  return `${idPrefixes[kind]}_${text}`;
}

/** What sorts before every id of a kind that was made at this time or later, and after all earlier ones. */
export function firstIdAt(kind: IdKind, time: Date): string {
  return `${idPrefixes[kind]}_${timeText(time)}`;
}

/** When an id was made, by the clock of whoever made it. */
export function madeAt(id: string): Date {
  const text = id.slice(id.indexOf("_") + 1).slice(0, TIME_CHARS);
  return new Date([...text].reduce((time, letter) => time * 32 + ALPHABET.indexOf(letter), 0));
}

function timeText(now: Date): string {
  let time = now.getTime();
  let text = "";
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET[time % 32] + text;
    time = Math.floor(time / 32);
  }
  return text;
}
