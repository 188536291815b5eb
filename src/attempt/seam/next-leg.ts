/** Whether and how an answer that broke goes on: the part of the attempt policy that holds once clients have some of it. Pure. */
import type { UpstreamPolicy } from "../../balance/candidate.ts";
import type { AnswerRecord, SeamRule } from "../../core/answer-record.ts";
import type { ContinuationStyle, Continuing } from "../../core/continuing.ts";
import type { Failure, FailureCode } from "../../core/failure.ts";
import { type Cut, chooseCut } from "./choose-cut.ts";

/** How an upstream is asked for another leg of an answer. */
export type AskLeg =
  | {
      /** For the rest, with what the client has as its beginning. */
      readonly kind: "continue";
      readonly elsewhere?: Elsewhere | undefined;
      /** What proves that it is the rest: its first words, which the client has, or what the server is known to do. */
      readonly proof: "answer" | "server";
      /** Its first words stand more than once in the answer, so that they alone prove nothing: the server is proved as well. */
      readonly needsServer: boolean;
      readonly style: ContinuationStyle;
      /** @param trims the server takes whitespace off the end of a prefix, as its proof has shown. */
      rest(trims: boolean): Rest | SeamRule;
    }
  /** For the same generation, which the upstream has kept. */
  | { readonly kind: "native"; readonly path: string; readonly from: "beginning" | "given" }
  /** For all of it, which must begin with all that the client has. */
  | { readonly kind: "rerun"; readonly elsewhere?: Elsewhere | undefined };

/** Another upstream is asked than the one whose answer it is. */
export interface Elsewhere {
  /** What the answer calls its model: it is to be no other. Undefined where it names none. */
  readonly model: string | undefined;
}

/** What is asked for, and what must come. */
export interface Rest {
  readonly body: unknown;
  readonly cut: Cut;
  /** It must be one JSON text with what the client has. */
  readonly isJson: boolean;
  /** Some servers repeat the prefix. */
  readonly echo: string | undefined;
  /** It has fewer tokens than the client asked for, since what was made is not known exactly. */
  readonly isCapped: boolean;
}

/** An attempt after the commit. */
export interface PastLeg {
  /** Undefined for the attempt that committed. */
  readonly ask: AskLeg | undefined;
  readonly failure: Failure;
  /** Clients have some of it. */
  readonly isTold: boolean;
  /** Another upstream was asked than the one that is asked about. @defaultValue false */
  readonly isElsewhere?: boolean;
}

export interface NextLegOptions {
  readonly policy: Pick<UpstreamPolicy, "recovery" | "resume" | "continuation">;
  readonly continuing: Continuing;
  readonly known: KnownOfServer;
  /** The answer is that of another upstream. @defaultValue it is this one's own */
  readonly elsewhere?: Elsewhere | undefined;
  /** The client's request. Parsed only when it is needed. */
  readonly body: () => unknown;
}

/** What has been learnt of the upstream. */
export interface KnownOfServer {
  /** Where it hands out again what it has made of the answer, if it keeps that. */
  kept(given: AnswerRecord): { readonly path: string; readonly from: "beginning" | "given" } | undefined;
  /** It has refused to continue an answer of this model, not long ago. */
  hasRefused(): boolean;
  /** Its proof has failed, not long ago. */
  isUnfit(): boolean;
}

export type NextLeg = { readonly ask: AskLeg } | { readonly rule: SeamRule };

/** Failures that say nothing against the answer so far, nor against asking again. */
const MAY_GO_ON: ReadonlySet<FailureCode> = new Set([
  "stream_truncated",
  "stream_stalled",
  "upstream_unreachable",
  "upstream_error_event",
]);

/** @param legs in their order, the one that committed first; the last of them has just failed. @param remainingMs until no attempt may begin. */
export function nextLeg(
  { policy, continuing, known, body, elsewhere }: NextLegOptions,
  given: AnswerRecord,
  legs: readonly PastLeg[],
  remainingMs: number,
): NextLeg {
  const broke = breakOf(legs);
  if (broke === undefined || !MAY_GO_ON.has(broke.code) || broke.scope !== "again") return { rule: "failure" };
  const native = elsewhere === undefined ? askKept(policy, keptOf(known, given), legs, remainingMs) : undefined;
  if (native !== undefined) return { ask: native };
  // What one upstream has refused says nothing of another.
  const last = legs.findLast(({ isTold, isElsewhere }) => isTold || isElsewhere !== true);
  // Behind its seam too: what it told was proved, and what it would tell next is not.
  const isOver = last?.ask?.kind !== "native" && last?.failure.seam !== undefined;
  if (isOver && !(last.isTold && last.failure.seam === "max-tokens")) return { rule: last.failure.seam };
  if (last?.isTold === false && last.ask?.kind !== "native" && last.failure.scope !== "again") return { rule: "refused" };
  if (remainingMs <= 0) return { rule: "time" };
  if (policy.recovery !== "continue" || policy.continuation === "off") return { rule: "unsupported" };
  const asked = legs.filter(
    ({ ask, failure }) => ask !== undefined && ask.kind !== "native" && failure.outage === undefined,
  ).length;
  if (asked >= policy.resume.maxAttempts) return { rule: last?.isTold === false ? "refused" : "attempts" };
  const ask =
    policy.continuation === "rerun"
      ? askAgain(given, continuing, body(), elsewhere)
      : askRest(policy, given, { continuing, known, body, elsewhere });
  return typeof ask === "string" ? { rule: ask } : { ask };
}

/** What is told from its beginning is compared with what was given. */
function keptOf(known: KnownOfServer, given: AnswerRecord): ReturnType<KnownOfServer["kept"]> {
  const kept = known.kept(given);
  return kept?.from === "beginning" && given.obstacles.has("too-long") ? undefined : kept;
}

/** The same generation goes on: nothing of it can differ, whatever was asked. */
function askKept(
  { resume }: NextLegOptions["policy"],
  kept: ReturnType<KnownOfServer["kept"]>,
  legs: readonly PastLeg[],
  remainingMs: number,
): AskLeg | undefined {
  const last = legs.at(-1);
  // It is asked once after each break, and again where the upstream was out. What it keeps is of the first leg.
  const mayAsk = last?.isTold === true || (last?.ask?.kind === "native" && last.failure.outage !== undefined);
  const isOfFirst = legs.every(({ ask, isTold }) => !isTold || ask === undefined || ask.kind === "native");
  const asked = legs.filter(({ ask, failure }) => ask?.kind === "native" && failure.outage === undefined).length;
  if (kept === undefined || !mayAsk || !isOfFirst || asked >= resume.maxAttempts || remainingMs <= 0) return undefined;
  return { kind: "native", ...kept };
}

/** Why the answer broke that the client has: the failure of the last leg that it has some of. A refused seam is none. */
export function breakOf(legs: readonly PastLeg[]): Failure | undefined {
  return legs.findLast(({ isTold, failure }) => isTold && failure.seam === undefined)?.failure;
}

/** What no second leg of any kind can go on from. */
const NEVER: readonly SeamRule[] = [
  "too-long",
  "finished",
  "choices",
  "tools",
  "reasoning",
  "audio",
  "other-content",
  "logprobs",
];

function askAgain(
  given: AnswerRecord,
  continuing: Continuing,
  body: unknown,
  elsewhere: Elsewhere | undefined,
): AskLeg | SeamRule {
  const obstacle = NEVER.find((rule) => given.obstacles.has(rule));
  if (obstacle !== undefined) return obstacle;
  if (given.text === "") return "too-short";
  const { greedy, seeded } = continuing.isDeterministic(body);
  return greedy || seeded ? { kind: "rerun", elsewhere } : "sampled";
}

function askRest(
  { resume, continuation }: NextLegOptions["policy"],
  given: AnswerRecord,
  { continuing, known, body: bodyOf, elsewhere }: Omit<NextLegOptions, "policy">,
): AskLeg | SeamRule {
  const body = bodyOf();
  if (continuation === "off" || continuation === "rerun") return "unsupported";
  const obstacle = [...NEVER, "blocks" as const].find((rule) => given.obstacles.has(rule));
  if (obstacle !== undefined) return obstacle;
  const refused = continuing.obstacleIn(body, {
    tools: resume.tools === "ifNoneCalled",
    // Only this server feeds the prefix to its grammar.
    structured: resume.structured === "ifItParses" && continuation === "llamacpp",
  });
  if (refused !== undefined) return refused;
  if (known.hasRefused()) return "refused";
  const { greedy } = continuing.isDeterministic(body);
  const proof = proofBy(resume.proof, greedy, elsewhere !== undefined);
  if (proof === undefined || (proof === "server" && known.isUnfit())) return "sampled";
  const rest = (trims: boolean): Rest | SeamRule => {
    const { refusesTrailingSpace } = continuing;
    const tail = proof === "answer" ? resume.tail : 0;
    const cut = chooseCut(given, { minChars: resume.minChars, tail, trims, refusesTrailingSpace });
    if (typeof cut === "string") return cut;
    const limit = limitOf(continuing.maxTokens(body, given.ends.length), cut);
    if (limit === "max-tokens") return limit;
    const asked = continuing.askRest(body, { prefix: cut.prefix, style: continuation, maxTokens: limit.maxTokens });
    if (asked === undefined) return "unsupported";
    // A text that begins with its own tail could be either.
    const echo = continuation === "prefix" && cut.tail !== "" && !given.text.startsWith(cut.tail) ? given.text : undefined;
    return { body: asked, cut, echo, isCapped: limit.isCapped, isJson: continuing.asksForJson(body) };
  };
  const first = rest(false);
  if (typeof first === "string") return first;
  const needsServer = proof === "server" || !first.cut.isTelling;
  const mayAskServer = resume.proof !== "answer" && elsewhere === undefined && !known.isUnfit();
  if (needsServer && !mayAskServer) return "repetition";
  return { kind: "continue", proof, needsServer, style: continuation, rest, elsewhere };
}

/** That another server goes on with answers does not show that it would have made this one: there its own words alone count. */
function proofBy(
  wanted: UpstreamPolicy["resume"]["proof"],
  greedy: boolean,
  isElsewhere: boolean,
): "answer" | "server" | undefined {
  if (wanted === "answer" || (greedy && (wanted === "auto" || isElsewhere))) return "answer";
  return isElsewhere ? undefined : "server";
}

interface Limit {
  readonly maxTokens: number | undefined;
  readonly isCapped: boolean;
}

/** What is left of the client's limit. Where the upstream does not count, no token is shorter than a byte. */
function limitOf(asked: number | undefined, { prefix, tail, tokens }: Cut): Limit | "max-tokens" {
  if (asked === undefined) return { maxTokens: undefined, isCapped: false };
  const left = asked - (tokens ?? Buffer.byteLength(prefix));
  if (left <= Buffer.byteLength(tail)) return "max-tokens";
  return { maxTokens: left, isCapped: tokens === undefined };
}
