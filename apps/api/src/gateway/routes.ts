import { PROTOCOL_HEADER, PROTOCOL_VERSION } from "@maia/runner-protocol";
import { ok, type Route, route } from "../http/route.js";
import { integer, object } from "../http/shapes.js";
import { sha256 } from "../present/common.js";
import { giveBlob, takeBlob } from "./attempt-blobs.js";
import { takeFrames } from "./frames.js";
import { greet, takeLeave } from "./instances.js";
import { answerPoll } from "./poll.js";
import { about, framesAnswer, hello, helloAnswer, poll, pollAnswer, unusedAnswer, unusedQuestion } from "./shapes.js";
import { giveTransfer, takeTransfer } from "./take-transfer.js";
import { findUnused } from "./unused-content.js";

const common = { tag: "Gateway", permission: "gateway.use" } as const;
const ofInstance = { "Maia-Generation": "The generation that the hello was answered with" };
const ofAttempt = { ...ofInstance, "Maia-Attempt-Token": "The `token` of the attempt's task" };
const bytes = { "application/octet-stream": {} };
const blob = object({ sha256, sizeBytes: integer(0, Number.MAX_SAFE_INTEGER) });

/** What a runner may ask that dials out. Its own tokens open these, and nothing else does. */
export const gatewayRoutes: readonly Route[] = [
  route({
    ...common,
    method: "get",
    path: "/v1/gateway",
    operationId: "describeGateway",
    summary: "What the gateway speaks, for whoever wants to know before they say hello",
    answers: { 200: { description: "The version of the protocol", shape: about } },
    handler: () => ok({ protocol: PROTOCOL_VERSION }),
  }),
  route({
    ...common,
    method: "post",
    path: "/v1/gateway/instances",
    operationId: "sayHello",
    summary: "A process of a runner says what it is. The same ledger again is the same instance, one generation later",
    body: {
      shape: hello,
      example: {
        protocol: "1.0",
        version: "0.1.0",
        slots: 8,
        labels: { zone: "eu-1" },
        isolation: "sandbox",
        capabilities: ["connectivity"],
        ledgerId: "lgr_01kc1x0000000000000000000a",
      },
    },
    answers: {
      200: {
        description: "Who it is",
        shape: helloAnswer,
        headers: { "Maia-Protocol": "The version of the protocol that the gateway speaks" },
      },
    },
    handler: async (call) => ok(await greet(call), { [PROTOCOL_HEADER]: PROTOCOL_VERSION }),
  }),
  route({
    ...common,
    method: "post",
    path: "/v1/gateway/instances/{id}/poll",
    operationId: "pollGateway",
    summary: "A sign of life, answered as soon as there is something to do, and after heartbeatMs at the latest",
    requestHeaders: ofInstance,
    body: {
      shape: poll,
      example: {
        free: 7,
        running: ["att_01kc1x0000000000000000000a"],
        load: { cpu: 0.4, memoryBytes: 2_000_000_000, memoryTotalBytes: 8_000_000_000 },
      },
    },
    answers: { 200: { description: "What there is to do", shape: pollAnswer } },
    handler: async (call) => ok(await answerPoll(call)),
  }),
  route({
    ...common,
    method: "post",
    path: "/v1/gateway/instances/{id}/unused-content",
    operationId: "findUnusedContent",
    summary: "Which of this content of its store an instance may remove, because nothing refers to it any more",
    requestHeaders: ofInstance,
    body: {
      shape: unusedQuestion,
      example: {
        blobs: [{ sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", ageMs: 86_400_000 }],
      },
    },
    answers: { 200: { description: "What may go", shape: unusedAnswer } },
    handler: async (call) => ok(await findUnused(call)),
  }),
  route({
    ...common,
    method: "delete",
    path: "/v1/gateway/instances/{id}",
    operationId: "sayGoodbye",
    summary: "A process leaves in good order. Saying it again changes nothing",
    requestHeaders: ofInstance,
    answers: { 204: { description: "It has left" } },
    handler: async (call) => {
      await takeLeave(call);
      return { status: 204 };
    },
  }),
  route({
    ...common,
    method: "post",
    path: "/v1/gateway/attempts/{id}/frames",
    operationId: "sendFrames",
    summary: "What happened in an attempt: frames, one JSON object a line. They may overlap what was sent before",
    requestHeaders: ofAttempt,
    streamed: { content: { "application/x-ndjson": { schema: { type: "string" } } } },
    answers: { 200: { description: "How far the record has come", shape: framesAnswer } },
    handler: async (call) => ok(await takeFrames(call)),
  }),
  route({
    ...common,
    method: "get",
    path: "/v1/gateway/attempts/{id}/blobs/{sha256}",
    operationId: "getTaskContent",
    summary: "Content that the attempt's task names",
    requestHeaders: ofAttempt,
    answers: { 200: { description: "The bytes", content: bytes } },
    handler: giveBlob,
  }),
  route({
    ...common,
    method: "put",
    path: "/v1/gateway/attempts/{id}/blobs/{sha256}",
    operationId: "putArtifactContent",
    summary: "The bytes of an artifact of the attempt",
    requestHeaders: ofAttempt,
    streamed: { content: { "application/octet-stream": { schema: {} } } },
    answers: {
      200: { description: "They were known already", shape: blob },
      201: { description: "They are known now", shape: blob },
    },
    handler: takeBlob,
  }),
  route({
    ...common,
    method: "get",
    path: "/v1/gateway/transfers/{id}",
    operationId: "getTransfer",
    summary: "Bytes that somebody sends to the runner's store, which the command RECEIVE has told of",
    requestHeaders: ofInstance,
    answers: { 200: { description: "The bytes, as they come", content: bytes } },
    handler: giveTransfer,
  }),
  route({
    ...common,
    method: "put",
    path: "/v1/gateway/transfers/{id}",
    operationId: "putTransfer",
    summary:
      "Bytes that the runner keeps and was asked for by the command SEND; answered once they have been passed on",
    requestHeaders: {
      ...ofInstance,
      "Maia-Transfer-Problem": "Why they cannot be had, percent-encoded; the body counts for nothing then",
    },
    streamed: { content: { "application/octet-stream": { schema: {} } } },
    answers: { 204: { description: "Whoever asked for them has them" } },
    handler: async (call) => {
      await takeTransfer(call);
      return { status: 204 };
    },
  }),
];
