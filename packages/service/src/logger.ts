import { styleText } from "node:util";
import winston from "winston";
import { type Env, readEnum } from "./env.js";

/** Where a service says what it does. A message is constant words; what varies goes into fields. */
export interface Logger {
  error(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  debug(message: string, fields?: object): void;
  /** A logger that adds these fields to every line. */
  child(fields: object): Logger;
}

export const logLevels = ["error", "warn", "info", "debug"] as const;
export const logFormats = ["json", "pretty"] as const;

export interface LoggerOptions {
  readonly level: string;
  readonly format: (typeof logFormats)[number];
  /** The service: `api`, `engine`, `runner`, `maia`. */
  readonly name: string;
}

/** A logger to stderr, so that stdout stays free for data. Values of fields whose names speak of secrets are masked. */
export function createLogger({ level, format, name }: LoggerOptions): Logger {
  const logger = winston.createLogger({
    level,
    format: winston.format.printf((info) => (format === "json" ? jsonLine(info) : prettyLine(info))),
    transports: [new winston.transports.Console({ stderrLevels: [...logLevels] })],
  });
  return bind(logger, { name });
}

/** The logger that `MAIA_LOG_LEVEL` and `MAIA_LOG_FORMAT` ask for; pretty on a terminal unless told. */
export function readLogging(env: Env, name: string, isTty: boolean): Logger {
  const level = readEnum(env, "MAIA_LOG_LEVEL", logLevels, "info");
  const format = readEnum(env, "MAIA_LOG_FORMAT", logFormats, isTty ? "pretty" : "json");
  return createLogger({ level, format, name });
}

function bind(logger: winston.Logger, bound: object): Logger {
  const log = (level: string) => (message: string, fields?: object) => {
    if (logger.isLevelEnabled(level)) logger.log({ level, message, fields: { ...bound, ...fields }, at: new Date() });
  };
  return {
    error: log("error"),
    warn: log("warn"),
    info: log("info"),
    debug: log("debug"),
    child: (fields) => bind(logger, { ...bound, ...fields }),
  };
}

function jsonLine({ level, message, fields, at }: winston.Logform.TransformableInfo): string {
  return stringify({ at, level, message, ...(fields as object) });
}

const colours = { error: "red", warn: "yellow", info: "green", debug: "gray" } as const;

function prettyLine({ level, message, fields, at }: winston.Logform.TransformableInfo): string {
  const { name, ...rest } = fields as { name: string };
  const time = (at as Date).toISOString().slice(11, 23);
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${prettyValue(key, value)}`);
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    styleText(style, text, { stream: process.stderr });
  const head = `${paint("dim", time)} ${paint(colours[level as keyof typeof colours], level.padEnd(5))} ${name}`;
  return [`${head}  ${oneLine(String(message))}`, ...(pairs.length > 0 ? [paint("dim", pairs.join(" "))] : [])].join(
    "  ",
  );
}

function prettyValue(key: string, value: unknown): string {
  const plain = masked(key, value);
  return typeof plain === "string" && /^[\w./:@+-]+$/.test(plain) ? plain : stringify(plain);
}

/** Control characters are escaped, so that a logged value can neither forge a line nor drive the terminal. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1));
}

const SECRET_NAME = /secret|token|password|passwd|authorization|cookie|credential|api[-_]?key/i;

function masked(key: string, value: unknown): unknown {
  if (typeof value === "string" && SECRET_NAME.test(key)) return "***";
  if (typeof value === "bigint") return value.toString();
  if (!(value instanceof Error)) return value;
  const { code, cause } = value as { code?: unknown; cause?: unknown };
  return { name: value.name, message: value.message, code, cause, stack: value.stack };
}

/** JSON that never throws: a log line must not take its service down. */
function stringify(value: unknown): string {
  const path: unknown[] = [];
  const replacer = function (this: unknown, key: string, item: unknown): unknown {
    while (path.length > 0 && path.at(-1) !== this) path.pop();
    const plain = masked(key, item);
    if (typeof plain !== "object" || plain === null) return plain;
    if (path.includes(plain)) return "[circular]";
    path.push(plain);
    return plain;
  };
  try {
    return JSON.stringify(value, replacer) ?? "null";
  } catch (error) {
    return JSON.stringify({ unloggable: String(error) });
  }
}
