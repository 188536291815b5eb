/** Clients that are known to raise an error event to their user, by the headers that they send. */
import type { Headers } from "../core/exchange.ts";

interface KnownClient {
  readonly name: string;
  readonly userAgent: RegExp;
}

/** Whatever a client calls itself: with one of these in its name, its user may never hear of an error event. */
const HIDE_ERRORS: readonly KnownClient[] = [
  // Its `textStream`, which most examples show, leaves error parts out.
  { name: "AI SDK", userAgent: /\bai-sdk\b/i },
];

/** A Stainless SDK names itself `Class/Language version`: `AsyncOpenAI/Python 3.52.0`, `Anthropic/JS 1.12.0`. */
const RAISE_ERRORS: readonly KnownClient[] = [
  { name: "OpenAI SDKs", userAgent: /^(?:Async)?(?:Azure|Bedrock)?OpenAI\/(?:Python|JS|Go|Java|Kotlin|Ruby|PHP|C#)\b/i },
  {
    name: "Anthropic SDKs",
    userAgent: /^(?:Async)?Anthropic(?:Bedrock(?:Mantle)?|Vertex|Foundry|Aws)?\/(?:Python|JS|Go|Java|Kotlin|Ruby|PHP|C#)\b/i,
  },
  { name: "LangChain", userAgent: /^langchain/i },
  { name: "Claude Code", userAgent: /^claude-(?:cli|code)\b/i },
  { name: "Codex", userAgent: /^codex(?:[_ -]|\/)/i },
];

/** SDKs of other houses, made from the same template, which lets an error event pass as if it were a part of the answer. */
const OTHER_STAINLESS_SDK = /^\w+\/(?:Python|JS|Go|Java|Kotlin|Ruby|PHP|C#) \d/i;

/**
 * Whether the program behind these headers hears of an error event although its stream then ends cleanly. Who is not known only
 * watches the transport, as far as can be told, and must see it break.
 */
export function raisesErrorEvents(headers: Headers): boolean {
  const userAgent = textOf(headers["user-agent"]);
  const matches = (client: KnownClient): boolean => client.userAgent.test(userAgent);
  if (HIDE_ERRORS.some(matches)) return false;
  // `with_streaming_response`: the SDK hands the bytes to its caller, who reads them as with any HTTP client.
  if (textOf(headers["x-stainless-raw-response"]).toLowerCase() === "stream") return false;
  if (RAISE_ERRORS.some(matches)) return true;
  // Programs that give the SDK in them a name of their own (Cline, Roo Code) keep its other headers.
  return isStainless(headers) && !OTHER_STAINLESS_SDK.test(userAgent);
}

/** Go's SDKs: before openai-go 3.43 a comment that is followed by a blank line is an event without data to them, and fatal. */
export function failsOnCommentBlocks(headers: Headers): boolean {
  return textOf(headers["x-stainless-lang"]).toLowerCase() === "go";
}

function isStainless(headers: Headers): boolean {
  return textOf(headers["x-stainless-lang"]) !== "" && textOf(headers["x-stainless-package-version"]) !== "";
}

function textOf(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? "";
}
