import { describe, expect, it } from "@jest/globals";
import { refineMime } from "./mime.js";

describe("refineMime", () => {
  it.each([
    ["image/png", ["text/csv"], "image/png"],
    ["text/plain", ["image/png", "text/csv"], "text/csv"],
    ["text/plain", ["image/png"], "text/plain"],
    ["text/plain", ["application/json; charset=utf-8"], "application/json"],
    ["text/plain", ["application/vnd.api+json"], "application/vnd.api+json"],
    ["text/plain", ["image/svg+xml"], "image/svg+xml"],
    ["application/zip", ["application/epub+zip"], "application/epub+zip"],
    ["application/zip", ["text/plain"], "application/zip"],
    ["application/x-cfb", ["application/msword"], "application/msword"],
    ["application/octet-stream", ["application/x-mine"], "application/x-mine"],
    ["application/octet-stream", ["text/csv"], "application/octet-stream"],
    ["application/octet-stream", ["image/png"], "application/octet-stream"],
    ["application/octet-stream", ["application/pdf"], "application/octet-stream"],
    ["application/octet-stream", [null, "application/octet-stream"], "application/octet-stream"],
  ])("makes of bytes that look like %s and claims %j: %s", (looksLike, claims, mime) => {
    expect(refineMime(looksLike, claims)).toBe(mime);
  });
});
