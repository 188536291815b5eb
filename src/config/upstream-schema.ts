/** The settings of one upstream, those it has of its own over the ones for all among them. */
import { z } from "zod";
import { isObject } from "../dialect/json.ts";
import { ownGate, ownHealth, ownNonStreaming, ownTimeouts, ownWarmup } from "./policy-settings.ts";
import { PROFILE_NAMES } from "./profiles.ts";
import { rateLimits } from "./rate-settings.ts";
import { continuation, ownRecovery, ownResume } from "./recovery-settings.ts";
import { APIS } from "./routes.ts";
import { baseUrl, file, someTime, text, wholeNumber } from "./values.ts";

const WEIGHT_EXPECTED = "expected a number of more than 0";

const apiKey = text(/^[\x21-\x7e]+$/, "expected a key without spaces or line breaks");

const modelName = text(/./, "expected the name of a model");

export const upstreamSchema = z
  .strictObject({
    name: text(/^[A-Za-z0-9._-]+$/, "expected letters, digits, dots, dashes and underscores only")
      .default("main")
      .describe("Name in logs and in the x-perennial-upstream header; unique. Default: main."),
    baseUrl: baseUrl.describe("Where requests go: /v1/x is sent to {baseUrl}/x. The same meaning as OPENAI_BASE_URL. Required."),
    apiKey: text(/^[\x21-\x7e]*$/, "expected a key without spaces or line breaks")
      .transform((key) => (key === "" ? undefined : key))
      .optional()
      .describe("Key sent to the upstream. Default: not set (or empty); the client's own Authorization is passed on."),
    apiKeys: z
      .array(apiKey)
      .min(1, { error: "expected at least one key; leave it out for none" })
      .optional()
      .describe(
        "Several keys in place of apiKey: when one is refused (401, 402, 403) or over its limit (429) the next is used, until that one's reset. Default: none.",
      ),
    profile: z
      .enum(PROFILE_NAMES)
      .default("openai")
      .describe("Which server this is: presets the settings that fit it; see `perennial profiles`. Default: openai."),
    api: z
      .enum(APIS)
      .default("openai")
      .describe("Which API it speaks, which decides the paths at which its answers are watched. Default: openai, or by profile."),
    keyHeader: z
      .enum(["authorization", "x-api-key", "api-key"])
      .default("authorization")
      .describe("The header in which apiKey is sent; authorization takes it as a bearer token. Default: authorization."),
    mount: z
      .enum(["/v1", "/"])
      .default("/v1")
      .describe(
        "What clients put before the upstream's paths: /v1/x goes to {baseUrl}/x, or with / every /x does. Default: /v1.",
      ),
    emptyFallback: z
      .enum(["next", "last", "off"])
      .default("last")
      .describe(
        "When a streamed request that found an empty stream is asked again without streaming: at the next attempt, at the last one if all were empty, or never. Default: last.",
      ),
    repairRawAnswer: z
      .boolean()
      .default(false)
      .describe(
        "When a chat's last event is no JSON but its whole answer, raw, send the rest of it and finish; see docs/architecture.md. Default: false, or by profile.",
      ),
    requireDone: z
      .boolean()
      .default(false)
      .describe("Count a stream without a final [DONE] as cut, even when every choice has finished. Default: false."),
    finish: z
      .enum(["auto", "done"])
      .default("auto")
      .describe(
        "What ends an answer: auto, its finish_reason; done, a final [DONE] alone as well, for servers without a finish_reason. Default: auto.",
      ),
    ca: file()
      .optional()
      .describe(
        "PEM file of the certificate authorities that are trusted for this upstream, in place of the well-known ones. Default: not set.",
      ),
    maxConnections: z
      .union([z.literal("unlimited"), wholeNumber(1)], { error: "expected unlimited, or a whole number of at least 1" })
      .default("unlimited")
      .transform((value) => (value === "unlimited" ? undefined : value))
      .describe("Most connections to it at one time; further requests wait (timeouts.queue). Default: unlimited."),
    keepAlive: someTime().prefault("30s").describe("How long an unused connection is kept open, as a duration. Default: 30s."),
    continuation,
    recovery: ownRecovery,
    resume: ownResume,
    priority: wholeNumber(0)
      .optional()
      .describe(
        "Which upstreams are asked first: those of the lowest number, the others only when none of them can be. Default: the order of the list; 0 where one of them has a priority or a weight.",
      ),
    weight: z
      .number({ error: WEIGHT_EXPECTED })
      .positive({ error: WEIGHT_EXPECTED })
      .optional()
      .describe("Its share of the requests among upstreams of one priority: 2 gets twice as many as 1. Default: 1."),
    clientKey: z
      .boolean()
      .default(false)
      .describe(
        "Send it the client's own key, although it is not the first upstream without an apiKey: for another address of the same company. Default: false.",
      ),
    models: z
      .record(z.string(), modelName)
      .default({})
      .describe(
        "What this upstream calls the models that clients ask for, as name: its name; * stands for any. Answers name what was asked for. Default: as clients call them.",
      ),
    only: z
      .array(modelName)
      .min(1, { error: "expected at least one name, such as qwen*; leave it out for all models" })
      .optional()
      .describe("The only models that it serves, beside those in models; * stands for any characters. Default: all."),
    rate: rateLimits.describe(
      "How much may be asked of it; further requests wait in their order, unless another upstream can be asked at once. Its own limits, as it tells them, are kept as well. Default: nothing is limited.",
    ),
    timeouts: ownTimeouts,
    gate: ownGate,
    nonStreaming: ownNonStreaming,
    health: ownHealth,
    warmup: ownWarmup,
  })
  .refine(({ apiKey, apiKeys }) => apiKey === undefined || apiKeys === undefined, {
    path: ["apiKeys"],
    error: "apiKey stands beside it: put that one into the list, or leave one of the two out",
    when: ({ value }) => isObject(value) && typeof value.apiKey === "string" && Array.isArray(value.apiKeys),
  })
  .refine(({ apiKey, apiKeys, clientKey }) => (apiKey ?? apiKeys) === undefined || !clientKey, {
    path: ["clientKey"],
    error: "a key of yours is sent in place of the client's own key: leave one of the two out",
    when: ({ value }) => isObject(value) && value.clientKey === true,
  })
  .refine(({ finish, requireDone }) => finish !== "done" || !requireDone, {
    path: ["finish"],
    error: "done takes [DONE] alone for a finish, and requireDone wants it beside one: set one of the two",
    // Also beside other mistakes, so that all are reported at once; not when its own parts are wrong.
    when: ({ value, issues }) =>
      isObject(value) && !issues.some((issue) => /^(finish|requireDone)$/.test(String(issue.path?.[0]))),
  })
  .describe("One upstream: an LLM API that Perennial stands in front of.");
