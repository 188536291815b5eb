/** The settings for answers that break after clients have seen some of them: for all upstreams, and for one alone. */
import { z } from "zod";
import { wholeNumber } from "./values.ts";

const RECOVERIES = ["error", "resume", "continue"] as const;

export const recovery = z
  .enum(RECOVERIES)
  .default("error")
  .describe(
    "What to do when a stream breaks after content was sent: error ends it with an error event; resume goes on with the same generation, where the upstream keeps it; continue asks for the rest as well, and takes it only with proof. Default: error.",
  );

export const ownRecovery = z
  .enum(RECOVERIES)
  .optional()
  .describe("What to do when a stream of this upstream breaks after content was sent. Default: as for all.");

export const continuation = z
  .enum(["auto", "off", "assistant", "vllm", "sglang", "prefix", "partial", "llamacpp", "rerun"])
  .default("auto")
  .describe(
    "How this upstream is asked to go on with an answer that broke: with the beginning as last message and the flags of that server, with the whole request again (rerun), or never (off). Default: auto, by profile.",
  );

const proof = z.enum(["auto", "answer", "server"]);
const tools = z.enum(["refuse", "ifNoneCalled"]);
const structured = z.enum(["refuse", "ifItParses"]);
const maxAttempts = () => wholeNumber(0, 20);
const minChars = () => wholeNumber(1);
const tail = () => wholeNumber(8, 96);

export const resume = z
  .strictObject({
    proof: proof
      .default("auto")
      .describe(
        "What proves that the rest belongs to the answer: answer, its last words that come again to the letter; server, small questions that show how the upstream continues; auto: answer at temperature 0, else server. Default: auto.",
      ),
    maxAttempts: maxAttempts().default(1).describe("Most continuations of one answer; 0 to 20. Default: 1."),
    minChars: minChars().default(40).describe("Fewest characters of an answer that is continued. Default: 40."),
    tail: tail()
      .default(24)
      .describe("Characters that must come again to the letter, rounded up to whole events; 8 to 96. Default: 24."),
    tools: tools
      .default("refuse")
      .describe("With tools that the model may call: refuse to continue, or ifNoneCalled so far. Default: refuse."),
    structured: structured
      .default("refuse")
      .describe(
        "With a response_format or a grammar: refuse to continue, or ifItParses: with profile llamacpp, which goes on with its grammar. Default: refuse.",
      ),
    background: z
      .boolean()
      .default(false)
      .describe(
        "Ask streamed /v1/responses in the background, so that they can be resumed; the upstream stores them. Default: false.",
      ),
  })
  .prefault({})
  .describe("How an answer that broke is continued, where recovery allows it.");

export const ownResume = z
  .strictObject({
    proof: proof.optional().describe("What proves that the rest belongs to the answer. Default: as for all."),
    maxAttempts: maxAttempts().optional().describe("Most continuations of one answer; 0 to 20. Default: as for all."),
    minChars: minChars().optional().describe("Fewest characters of an answer that is continued. Default: as for all."),
    tail: tail().optional().describe("Characters that must come again to the letter; 8 to 96. Default: as for all."),
    tools: tools.optional().describe("With tools that the model may call. Default: as for all."),
    structured: structured.optional().describe("With a response_format or a grammar. Default: as for all."),
    background: z.boolean().optional().describe("Ask streamed /v1/responses in the background. Default: as for all."),
  })
  .prefault({})
  .describe("How an answer of this upstream that broke is continued; over resume for all.");
