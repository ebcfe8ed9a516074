import { describe, expect, it } from "@jest/globals";
import type { MaiaError } from "./errors.js";
import { Reader } from "./reader.js";
import {
  coresOf,
  mebibytesOf,
  type RunnerDefinition,
  readRunnerChange,
  readRunnerDefinition,
} from "./runner-definition.js";

const minimal = { name: "east", platform: "kubernetes" };
const parse = (request: unknown) => Reader.read(request, readRunnerDefinition);
const change = (request: unknown, now: RunnerDefinition = parse(minimal)) =>
  Reader.read(request, (root) => readRunnerChange(root, now));

function pointers(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    return (error as MaiaError).issues.map(({ pointer }) => pointer);
  }
  return [];
}

describe("a runner's definition", () => {
  it("is filled in with every default", () => {
    expect(parse(minimal)).toEqual({
      name: "east",
      description: "",
      type: "maia",
      platform: "kubernetes",
      deployment: "helm",
      track: "current",
      autoUpdate: false,
      restricted: false,
      config: { image: null, env: {}, cpu: null, memory: null, minInstances: 1, maxInstances: 1 },
    });
    expect(parse({ name: "snow", platform: "snowflake" })).toMatchObject({ deployment: "native_app", track: "stable" });
  });

  it.each([
    ["aws", "fargate"],
    ["azure", "container_app"],
    ["azure", "aci"],
    ["gcp", "gke"],
    ["snowflake", "native_app"],
    ["kubernetes", "helm"],
    ["kubernetes", "manifests"],
    ["self_managed", "docker"],
    ["self_managed", "systemd"],
    ["self_managed", "process"],
  ])("may be deployed on %s as %s, and as nothing else there (F14, F15, F28)", (platform, deployment) => {
    expect(parse({ name: "a", platform, deployment })).toMatchObject({ platform, deployment });
    const other = platform === "aws" ? "gke" : "fargate";
    expect(pointers(() => parse({ name: "a", platform, deployment: other }))).toEqual(["/deployment"]);
  });

  it.each<[string, object, string[]]>([
    ["no name", { name: undefined }, ["/name"]],
    ["an empty name", { name: "" }, ["/name"]],
    ["a name of 31 characters", { name: "a".repeat(31) }, ["/name"]],
    ["a name that no address can hold", { name: ".." }, ["/name"]],
    ["a name that looks like an id", { name: "rnr_a" }, ["/name"]],
    ["a name with something invisible in it", { name: "a\u200bb" }, ["/name"]],
    ["a description of 501 characters", { description: "a".repeat(501) }, ["/description"]],
    ["no platform", { platform: undefined }, ["/platform"]],
    ["an unknown platform", { platform: "moon" }, ["/platform"]],
    ["the hosted platform", { platform: "hosted" }, ["/platform"]],
    ["an unknown type", { type: "agent" }, ["/type"]],
    ["an unknown track", { track: "nightly" }, ["/track"]],
    ["a flag that is none", { autoUpdate: "yes" }, ["/autoUpdate"]],
    ["Snowflake on Current (F107)", { platform: "snowflake", track: "current" }, ["/track"]],
    ["Snowflake that updates itself", { platform: "snowflake", autoUpdate: true }, ["/autoUpdate"]],
    ["a streaming runner in Snowflake", { platform: "snowflake", type: "streaming" }, ["/platform"]],
    ["a streaming runner that is restricted", { type: "streaming", restricted: true }, ["/restricted"]],
    ["an image that is a command", { config: { image: "a; rm -rf /" } }, ["/config/image"]],
    ["a variable of Maia's own", { config: { env: { MAIA_CLIENT_SECRET: "x" } } }, ["/config/env/MAIA_CLIENT_SECRET"]],
    ["a variable that changes what runs", { config: { env: { LD_PRELOAD: "x" } } }, ["/config/env/LD_PRELOAD"]],
    ["a variable that is no text", { config: { env: { A: 1 } } }, ["/config/env/A"]],
    ["no cores", { config: { cpu: 0 } }, ["/config/cpu"]],
    ["memory without a number", { config: { memory: "lots" } }, ["/config/memory"]],
    ["fewer at most than at least", { config: { minInstances: 3, maxInstances: 2 } }, ["/config/maxInstances"]],
    ["half an instance", { config: { minInstances: 0.5 } }, ["/config/minInstances"]],
    ["a field that nobody knows", { tracks: "stable" }, ["/tracks"]],
  ])("is refused with %s, by the field", (_, part, expected) => {
    expect(pointers(() => parse({ ...minimal, ...part }))).toEqual(expected);
  });

  it("may tune what is the operator's to tune", () => {
    const env = { MAIA_RUNNER_SLOTS: "8", TZ: "UTC" };
    expect(parse({ ...minimal, config: { env } }).config.env).toEqual(env);
  });
});

describe("a change to a runner", () => {
  it("leaves what it does not name", () => {
    const now = parse({ ...minimal, description: "old", config: { env: { A: "1" }, minInstances: 2 } });
    expect(change({ description: "new" }, now)).toEqual({ ...now, description: "new" });
    expect(change({ config: { cpu: 2 } }, now).config).toEqual({ ...now.config, cpu: 2 });
    expect(change({ config: { minInstances: 5 } }, now).config).toMatchObject({ minInstances: 5, maxInstances: 5 });
  });

  it.each(["type", "platform", "deployment"])("cannot move its %s", (name) => {
    expect(pointers(() => change({ [name]: "aws" }))).toEqual([`/${name}`]);
  });

  it("is held to what goes together", () => {
    const snow = parse({ name: "snow", platform: "snowflake" });
    expect(pointers(() => change({ track: "current", autoUpdate: true }, snow))).toEqual(["/track", "/autoUpdate"]);
    const stream = parse({ ...minimal, type: "streaming" });
    expect(pointers(() => change({ restricted: true }, stream))).toEqual(["/restricted"]);
  });
});

describe("an amount", () => {
  it.each([
    [1, 1],
    [0.5, 0.5],
    ["500m", 0.5],
    ["2", 2],
    ["0", null],
    ["1 core", null],
    [-1, null],
    [Number.NaN, null],
  ])("of %j cores is %j", (text, cores) => {
    expect(coresOf(text)).toBe(cores);
  });

  it.each([
    [512, 512],
    ["512", 512],
    ["2Gi", 2_048],
    ["2GB", 2_048],
    ["1024Ki", 1],
    ["1Ti", 1_048_576],
    ["0Mi", null],
    ["2 Gigs", null],
    ["", null],
  ])("of %j memory is %j MiB", (text, mebibytes) => {
    expect(mebibytesOf(text)).toBe(mebibytes);
  });
});
