import type { JsonSchema } from "../http/shapes.js";

/** The files of a job that is asked for. */
export const jobFiles = {
  files: {
    type: "array",
    description: "Files that were uploaded before",
    items: {
      type: "object",
      required: ["name", "sha256"],
      properties: { name: { type: "string" }, sha256: { type: "string" } },
    },
  },
  urlFiles: {
    type: "array",
    description: "Files that Maia downloads",
    items: { type: "object", required: ["url"], properties: { url: { type: "string" }, name: { type: "string" } } },
  },
} as const satisfies Readonly<Record<string, JsonSchema>>;
