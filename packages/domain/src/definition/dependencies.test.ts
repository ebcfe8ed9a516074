import { describe, expect, it } from "@jest/globals";
import { minimal, refusal } from "../../test/refusal.js";
import { parseDefinition } from "../definition.js";

describe("the dependencies of a definition", () => {
  const npm = (name: string, range: unknown) => ({ ...minimal, dependencies: { npm: { [name]: range } } });
  const python = (...list: unknown[]) => ({ ...minimal, dependencies: { python: list } });

  it.each([
    ";curl x|sh",
    "$(id)",
    "--registry=http://evil",
    "-g",
    "../x",
    "a b",
    "@x",
    "@/x",
    "@a/b/c",
    "",
    "long".repeat(54),
  ])("have no npm package called %p (B050)", (name) => {
    expect(refusal(npm(name, "1.0.0")).code).toBe("INVALID");
  });

  it.each([
    "file:/x",
    "git+ssh://git@host/x",
    "http://host/x.tgz",
    "npm:alias@1",
    "*; id",
    "latest",
    "github/user",
    "workspace:*",
    "-1",
    "",
    " ",
    "1.0.0\n--x",
    ">",
    5,
    null,
  ])("have no version range %p (B050)", (range) => {
    expect(refusal(npm("left-pad", range)).issues).toHaveProperty(["/dependencies/npm/left-pad"]);
  });

  it("name the npm packages whose install scripts may run, or none (S16)", () => {
    const allowing = (allowScripts: unknown) => ({ ...minimal, dependencies: { npm: { a: "1.0.0" }, allowScripts } });
    expect(parseDefinition(allowing(["b", "@s/a", "b"])).dependencies.allowScripts).toEqual(["@s/a", "b"]);
    expect(parseDefinition(allowing([])).dependencies).toEqual({ npm: { a: "1.0.0" }, python: [] });
    expect(refusal(allowing(["--all"])).issues).toHaveProperty(["/dependencies/allowScripts/0"]);
  });

  it.each([
    "^6.0.0",
    "~1.2",
    "1.x",
    "*",
    ">=1.2.3 <2",
    "1.0.0 - 2.0.0",
    "^1 || ^2",
    "v1.2.3-beta.1+build",
    ">= 1",
    "~> 1.2",
  ])("may have the version range %p", (range) => {
    expect(parseDefinition(npm("@scope/pkg", range)).dependencies.npm).toEqual({ "@scope/pkg": range });
  });

  it.each([
    "requests @ https://evil/x.whl",
    "git+https://x",
    "-r requirements.txt",
    "--index-url=x",
    "../x",
    "pandas>=2; python_version<'3'",
    "a b",
    "pandas>=2\n--x",
    "",
    "$(id)",
  ])("have no python requirement %p (B050)", (requirement) => {
    expect(refusal(python(requirement)).issues).toHaveProperty(["/dependencies/python/0"]);
  });

  it.each(["requests", "pandas>=2", "pandas>=2,<3", "httpx[http2]==0.27.*", "numpy ~= 1.26", "a.b_c-d!=1.0rc1"])(
    "may have the python requirement %p",
    (requirement) => {
      expect(parseDefinition(python(requirement)).dependencies.python).toEqual([requirement]);
    },
  );

  it("name each package once, and at most 500 of a kind (B050)", () => {
    expect(refusal(python("my-pkg", "My_Pkg>=1")).issues).toHaveProperty(["/dependencies/python/1"]);
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`p${i}`, "1"]));
    expect(refusal({ ...minimal, dependencies: { npm: many } }).issues).toHaveProperty(["/dependencies/npm"]);
  });
});
