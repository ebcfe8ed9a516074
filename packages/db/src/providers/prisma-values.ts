import { type ArgType, type ColumnType, ColumnTypeEnum } from "@prisma/driver-adapter-utils";

/** What SQLite takes for an argument of Prisma's. */
export function toSqlite(value: unknown, { scalarType }: ArgType): unknown {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof Date) return timeText(value);
  if (typeof value !== "string") return value;
  switch (scalarType) {
    case "int":
    case "float":
    case "decimal":
      return Number(value);
    case "bigint":
      return BigInt(value);
    case "datetime":
      return timeText(new Date(value));
    case "bytes":
      return Buffer.from(value, "base64");
    default:
      return value;
  }
}

/** What Prisma takes for a value of SQLite's. Whole numbers come as BigInt, so that none is rounded on the way. */
export function fromSqlite(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

const declared = new Map<string, ColumnType>([
  ["TEXT", ColumnTypeEnum.Text],
  ["INTEGER", ColumnTypeEnum.Int32],
  ["INT", ColumnTypeEnum.Int32],
  ["BIGINT", ColumnTypeEnum.Int64],
  ["INTEGER UNSIGNED", ColumnTypeEnum.Int64],
  ["BOOLEAN", ColumnTypeEnum.Boolean],
  ["DATETIME", ColumnTypeEnum.DateTime],
  ["BLOB", ColumnTypeEnum.Bytes],
  ["REAL", ColumnTypeEnum.Double],
]);

/** The type of a column: as the table declares it, or else as the first value that is not null says. */
export function columnType(declaredType: string | null, index: number, rows: readonly unknown[][]): ColumnType {
  const known = declaredType === null ? undefined : declared.get(declaredType.toUpperCase());
  if (known !== undefined) return known;
  const sample = rows.find((row) => row[index] !== null)?.[index];
  if (typeof sample === "string") return ColumnTypeEnum.Text;
  if (typeof sample === "bigint") return ColumnTypeEnum.Int64;
  if (typeof sample === "number") return ColumnTypeEnum.Double;
  if (sample instanceof Uint8Array) return ColumnTypeEnum.Bytes;
  return ColumnTypeEnum.Int32;
}

/** The same text as `toDbTime` gives; this file is also read by the schema engine's bridge and so imports none of ours. */
function timeText(at: Date): string {
  return at.toISOString().replace("Z", "+00:00");
}
