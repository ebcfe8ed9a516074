import { describe, expect, it } from "@jest/globals";
import { addToAllowList, isAllowed, tidyAllowList, withoutEnvironment, withoutProject } from "./allow-list.js";

const list = { projects: { prj_b: { environments: ["prod", "dev"] }, prj_a: {} } };
const allows = (projects: object, environment: string) =>
  isAllowed(true, { projects } as typeof list, { projectId: "prj_b", environment });

describe("an allow list", () => {
  it("is a set: each name once and in order (B106)", () => {
    const doubled = { projects: { prj_b: { environments: ["prod", "dev", "prod"] }, prj_a: { environments: [] } } };
    const tidy = { projects: { prj_a: {}, prj_b: { environments: ["dev", "prod"] } } };
    expect(tidyAllowList(doubled)).toEqual(tidy);
    expect(JSON.stringify(tidyAllowList(list))).toBe(JSON.stringify(tidy));
  });

  it("grows by what is added, and all environments stay all", () => {
    const grown = addToAllowList(list, { projects: { prj_b: { environments: ["test"] }, prj_c: {} } });
    expect(grown).toEqual({
      projects: { prj_a: {}, prj_b: { environments: ["dev", "prod", "test"] }, prj_c: {} },
    });
    expect(addToAllowList(list, { projects: { prj_a: { environments: ["dev"] } } }).projects.prj_a).toEqual({});
    expect(addToAllowList(list, { projects: { prj_b: {} } }).projects.prj_b).toEqual({});
  });

  it("never allows more by taking something away", () => {
    const one = withoutEnvironment(list, "prj_b", "prod");
    expect(one).toEqual({ projects: { prj_a: {}, prj_b: { environments: ["dev"] } } });
    const none = withoutEnvironment(one as typeof list, "prj_b", "dev");
    expect(none).toEqual({ projects: { prj_a: {} } });
    expect(allows((none as typeof list).projects, "prod")).toBe(false);
    expect(withoutEnvironment(list, "prj_a", "dev")).toBe("all");
  });

  it("says where there is nothing to take away", () => {
    expect(withoutProject(list, "prj_c")).toBeNull();
    expect(withoutProject(list, "__proto__")).toBeNull();
    expect(withoutEnvironment(list, "prj_c", "dev")).toBeNull();
    expect(withoutEnvironment(list, "prj_b", "test")).toBeNull();
  });
});
