import { describe, expect, it } from "@jest/globals";
import type { MaiaError } from "@maia/domain";
import { parseJobRequest } from "./job-request.js";

function pointers(request: unknown): string[] {
  try {
    parseJobRequest(request);
  } catch (error) {
    return (error as MaiaError).issues.map(({ pointer }) => pointer);
  }
  return [];
}

const hash = "a".repeat(64);

describe("the request for a job", () => {
  it("needs a workflow and nothing else", () => {
    expect(parseJobRequest({ workflow: "csv-report" })).toEqual({
      workflow: "csv-report",
      project: null,
      version: null,
      params: {},
      files: [],
      urlFiles: [],
      environment: null,
      runner: null,
      priority: 0,
      labels: {},
    });
  });

  it("may have all that the contract names", () => {
    const request = {
      workflow: "csv-report",
      project: "prj_1",
      version: 3,
      params: { top: 3 },
      files: [{ name: "data.csv", sha256: hash }],
      urlFiles: [{ url: "https://example.com/x/y.csv?z=1" }, { url: "http://example.com/", name: "z.csv" }],
      environment: "staging",
      runner: "hosted",
      priority: -100,
      labels: { team: "finance", empty: "" },
    };
    expect(parseJobRequest(request)).toMatchObject({
      ...request,
      urlFiles: [
        { url: "https://example.com/x/y.csv?z=1", name: "y.csv" },
        { url: "http://example.com/", name: "z.csv" },
      ],
    });
  });

  it.each([
    ["https://example.com/a%20b.csv", "a b.csv"],
    ["https://example.com/..%2f..%2fetc%2fpasswd", "download"],
    ["https://example.com/%zz.csv", "%zz.csv"],
    ["https://example.com", "download"],
  ])("calls what it downloads from %s %s", (url, name) => {
    expect(parseJobRequest({ workflow: "w", urlFiles: [{ url }] }).urlFiles[0]?.name).toBe(name);
  });

  it.each([undefined, null, [], "x", 5])("is no %p", (request) => {
    expect(pointers(request)).toContain("");
  });

  it("has no fields that are Maia's own (B071)", () => {
    const own = {
      path: "/etc/passwd",
      filepath: "x",
      blobId: "x",
      status: "READY",
      originalname: "x",
      mime: "x",
      sizeBytes: 1,
    };
    const request = {
      workflow: "w",
      files: [{ name: "x", sha256: hash, ...own }],
      id: "job_1",
      status: "SUCCEEDED",
      trigger: "schedule",
    };
    expect(pointers(request)).toEqual([
      "/id",
      "/status",
      "/trigger",
      ...Object.keys(own).map((name) => `/files/0/${name}`),
    ]);
    expect(pointers({ workflow: "w", files: [{ path: "/etc/passwd", originalname: "x" }] })).toEqual([
      "/files/0/path",
      "/files/0/originalname",
      "/files/0/name",
      "/files/0/sha256",
    ]);
  });

  it.each([{ not: "" }, { contains: "" }, [], null, true, ""])("has no %j where a name is due (B031)", (value) => {
    for (const field of ["workflow", "project", "environment", "runner"]) {
      expect(pointers({ workflow: "w", [field]: value })).toEqual([`/${field}`]);
    }
  });

  it.each([Number.POSITIVE_INFINITY, 1.5, 2 ** 31, 2 ** 53 + 2, "5", null])(
    "has no %p for a number (B029)",
    (value) => {
      expect(pointers({ workflow: "w", version: value })).toEqual(["/version"]);
      expect(pointers({ workflow: "w", priority: value })).toEqual(["/priority"]);
    },
  );

  it.each([-101, 101])("has no priority of %d", (priority) => {
    expect(pointers({ workflow: "w", priority })).toEqual(["/priority"]);
  });

  it.each([
    "file:///etc/passwd",
    "ftp://x/y",
    "gopher://x",
    "data:,x",
    "unix:/x",
    "http://unix:/x:/",
    "javascript:1",
    "x",
  ])("downloads nothing from %s (B076)", (url) => {
    expect(pointers({ workflow: "w", urlFiles: [{ url }] })).toEqual(["/urlFiles/0/url"]);
  });

  it("has params that are an object of plain JSON (B025)", () => {
    expect(pointers({ workflow: "w", params: [] })).toEqual(["/params"]);
    expect(pointers({ workflow: "w", params: JSON.parse('{"a":{"__proto__":{}}}') })).toEqual(["/params/a/__proto__"]);
  });

  it("has at most 32 labels, of strings", () => {
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, "x"]));
    expect(pointers({ workflow: "w", labels: many })).toEqual(["/labels"]);
    expect(pointers({ workflow: "w", labels: { a: 1, "b\n": "x", constructor: "x" } })).toEqual([
      "/labels/a",
      "/labels/b\n",
      "/labels/constructor",
    ]);
  });

  it("names files, not paths", () => {
    const files = ["../x", "a/b", "", "a\u202eb"].map((name) => ({ name, sha256: hash }));
    expect(pointers({ workflow: "w", files })).toEqual(files.map((_, i) => `/files/${i}/name`));
    expect(pointers({ workflow: "w", files: [{ name: "x", sha256: "A".repeat(64) }] })).toEqual(["/files/0/sha256"]);
  });
});
