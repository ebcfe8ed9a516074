import { runnerDeployments, runnerPlatforms, runnerTracks, runnerTypes } from "@maia/domain";
import { type JsonSchema, passedOn } from "../http/shapes.js";

const configSchema: JsonSchema = {
  type: "object",
  properties: {
    image: { type: ["string", "null"] },
    env: { type: "object", additionalProperties: { type: "string" } },
    cpu: { type: ["number", "string", "null"] },
    memory: { type: ["number", "string", "null"] },
    minInstances: { type: "integer", minimum: 0, maximum: 1_000 },
    maxInstances: { type: "integer", minimum: 1, maximum: 1_000 },
  },
  additionalProperties: false,
};

const changeable = {
  name: { type: "string", minLength: 1, maxLength: 30 },
  description: { type: "string", maxLength: 500 },
  track: { enum: runnerTracks },
  autoUpdate: { type: "boolean" },
  restricted: { type: "boolean", description: "Whether its allow list is enforced" },
  config: configSchema,
} as const satisfies JsonSchema;

export const runnerRequest = {
  ...passedOn({
    type: "object",
    required: ["name", "platform"],
    properties: {
      ...changeable,
      type: { enum: runnerTypes, description: "maia unless given" },
      platform: { enum: runnerPlatforms.filter((platform) => platform !== "hosted") },
      deployment: { enum: runnerDeployments, description: "How, on that platform" },
    },
    additionalProperties: false,
  }),
  name: "NewRunnerRequest",
};

export const runnerChange = {
  ...passedOn({ type: "object", properties: changeable, additionalProperties: false }),
  name: "RunnerChangeRequest",
};
