/** One attempt at another leg of a streamed answer that broke when clients had some of it. */
import type { ServerProof } from "../balance/continuation-memory.ts";
import { proveServer } from "../balance/prove-server.ts";
import type { BodyReader } from "../call/body-reader.ts";
import { type CallControl, callUpstream } from "../call/call-upstream.ts";
import { chooseReader } from "../call/choose-reader.ts";
import { createStreamReader } from "../call/stream-reader.ts";
import type { AnswerRecord } from "../core/answer-record.ts";
import type { AttemptResult } from "../core/attempt-output.ts";
import type { ContinuationStyle, Continuing } from "../core/continuing.ts";
import type { Dialect } from "../core/dialect.ts";
import type { EventSink } from "../core/event-sink.ts";
import type { Api } from "../core/exchange.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { ResumedBy } from "../core/outcome.ts";
import type { DialectAttempt } from "./attempt-context.ts";
import { withHold } from "./attempt-stream.ts";
import { BackgroundStation } from "./background-station.ts";
import { legCost } from "./seam/leg-cost.ts";
import type { AskLeg, Rest } from "./seam/next-leg.ts";
import { NumberedSplice } from "./seam/numbered-splice.ts";
import { ReplaySplice } from "./seam/replay-splice.ts";
import { refusedSeam, Splice } from "./seam/splice.ts";
import { dialectCall, parsedBody, pathOf, upstreamBody } from "./upstream-request.ts";

/** @throws Failure */
export async function attemptLeg(context: DialectAttempt, ask: AskLeg): Promise<AttemptResult> {
  const { continuing } = context.dialect;
  const given = context.output.given;
  if (continuing === undefined || given === undefined) throw refusedSeam("unsupported");
  if (ask.kind === "native") return attemptKept(context, ask, { continuing, given });
  // What is kept of the first leg is not wanted any more, and may be in the way of a server that makes one answer at a time.
  context.session.end(false);
  const rest = ask.kind === "continue" ? await prepare(context, continuing, ask) : undefined;
  const body = rest && Buffer.from(JSON.stringify(rest.body));
  const cost = legCost(given, rest?.cut, body?.length ?? sizeOf(context));
  context.held.add(body?.length ?? 0);
  const call = dialectCall(context, watchOf(context), body);
  // The client's key stands for the first leg, whose answer a server may keep for it.
  const { "idempotency-key": _key, ...headers } = call.request.headers;
  const by = ask.kind === "rerun" ? "rerun" : ask.proof;
  const model = ask.elsewhere?.model;
  try {
    return await callUpstream<AttemptResult>({ ...call, request: { ...call.request, headers } }, ({ headers }, control) =>
      chooseReader(
        headers,
        {
          stream: () => {
            context.attempt.paidTwice = cost();
            return readLeg(control, context, (inspected) => splice(inspected, { rest, by, model, cost, continuing, given }));
          },
          // The whole answer at once would repeat what was told, or lack it: servers differ.
          json: () => {
            throw refusedSeam("refused");
          },
        },
        {
          form: "stream",
          maxBytes: context.limits.maxBodyBytes,
          onUndecided: () => control.notice("life"),
          onFailure: control.fail,
        },
      ),
    );
  } catch (thrown) {
    if (rest !== undefined && refusesToContinue(toFailure(thrown))) {
      context.plan.candidate.shared.continuations.refuse(refusalKey(context));
    }
    throw thrown;
  }
}

const REFUSES_REQUEST: ReadonlySet<number> = new Set([400, 422]);
/** That this answer has become too long says nothing of the next. */
const SAYS_TOO_LONG = /context|too long|too large|maximum|length|tokens/i;

function refusesToContinue({ code, status, upstreamMessage = "" }: Failure): boolean {
  return code === "upstream_status" && REFUSES_REQUEST.has(status) && !SAYS_TOO_LONG.test(upstreamMessage);
}

/** A refusal holds for a model, asked in one dialect. */
export function refusalKey({ dialect, request }: Api): string {
  return `${dialect.name} ${request.model ?? ""}`;
}

interface LegParts {
  /** Undefined for the whole answer again. */
  readonly rest: Rest | undefined;
  readonly by: ResumedBy;
  /** Whose answer it must be. */
  readonly model: string | undefined;
  readonly cost: ReturnType<typeof legCost>;
  readonly continuing: Continuing;
  readonly given: AnswerRecord;
}

/** Of the request as it is, in bytes. */
function sizeOf({ exchange }: DialectAttempt): number {
  const { body, plain } = exchange.request;
  return plain?.length ?? (Buffer.isBuffer(body) ? body.length : 0);
}

function watchOf({ plan }: DialectAttempt) {
  const { firstToken, alive, idle } = plan.candidate.policy.timeouts;
  return { firstTokenMs: firstToken, aliveMs: alive, idleMs: idle, idleFrom: "content" } as const;
}

/** The same generation, which the upstream has kept. */
function attemptKept(
  context: DialectAttempt,
  { path, from }: AskLeg & { kind: "native" },
  { continuing, given }: Pick<LegParts, "continuing" | "given">,
): Promise<AttemptResult> {
  const call = dialectCall(context, watchOf(context), null);
  const { "content-type": _type, "content-encoding": _encoding, "idempotency-key": _key, ...headers } = call.request.headers;
  const request = { ...call.request, method: "GET", path, headers };
  return callUpstream<AttemptResult>({ ...call, request }, ({ headers }, control) =>
    chooseReader(
      headers,
      {
        stream: () =>
          readLeg(control, context, ({ output }) => {
            const next = output.nextLeg("native");
            if (from === "given") {
              const numberOf = continuing.numberOf ?? (() => undefined);
              return new NumberedSplice({
                next: new BackgroundStation(next.sink, context),
                accept: next.accept,
                last: given.sequence,
                numberOf,
              });
            }
            return new ReplaySplice({ next: next.sink, accept: next.accept, given, again: continuing.record() });
          }),
        json: () => {
          throw refusedSeam("refused");
        },
      },
      {
        form: "stream",
        maxBytes: context.limits.maxBodyBytes,
        onUndecided: () => control.notice("life"),
        onFailure: control.fail,
      },
    ),
  );
}

function readLeg(
  control: CallControl<AttemptResult>,
  context: DialectAttempt,
  station: (context: DialectAttempt) => EventSink,
): BodyReader {
  const { attempt, plan, limits, held, dialect, request } = context;
  const inspector = dialect.inspectStream(request);
  return createStreamReader({
    inspector,
    control,
    held,
    sink: withHold(station(context), inspector, control, context),
    maxEventBytes: limits.maxEventBytes,
    requireTerminator: plan.candidate.policy.requireDone,
    terminatorFinishes: plan.candidate.policy.finish === "done",
    // Nothing may have been missing but the end, which the seam's judge knows better.
    acceptEmpty: true,
    onWhole({ terminated, bodyEnded }) {
      attempt.warning = inspector.warning;
      control.succeed({ kind: "streamed", repaired: !terminated && dialect.repairsTerminator }, bodyEnded);
    },
  });
}

function splice({ attempt, held, output }: DialectAttempt, { rest, by, model, cost, continuing, given }: LegParts): EventSink {
  const { text } = given;
  const next = output.nextLeg(by);
  return new Splice({
    next: next.sink,
    accept: next.accept,
    held,
    model,
    leg: continuing.openLeg(given, { isWhole: rest === undefined, tokensBefore: rest?.cut.tokens }),
    seam: { given: text, expected: rest === undefined ? text : rest.cut.tail, echo: rest?.echo, isSuspect: by === "server" },
    isCapped: rest?.isCapped ?? false,
    isJson: rest?.isJson,
    onPromptTokens(tokens) {
      attempt.paidTwice = cost(tokens);
    },
  });
}

/** @throws Failure where the server does not go on with answers, or cannot be asked whether it does. */
async function prepare(context: DialectAttempt, continuing: Continuing, ask: AskLeg & { kind: "continue" }): Promise<Rest> {
  const proof = ask.needsServer ? await proofOf(context, continuing, ask.style) : undefined;
  if (proof?.goesOn === false) throw refusedSeam(ask.proof === "server" ? "sampled" : "repetition");
  const rest = ask.rest(proof?.trims ?? false);
  if (typeof rest === "string") throw refusedSeam(rest);
  return rest;
}

function proofOf(context: DialectAttempt, continuing: Continuing, style: ContinuationStyle): Promise<ServerProof> {
  const { exchange, dialect, plan, limits, signal } = context;
  const { upstream, policy, shared } = plan.candidate;
  const body = parsedBody(exchange.request);
  const { headers } = exchange.request;
  const asked = upstreamBody(context, body);
  const path = pathOf(context);
  const seek = (): Promise<ServerProof> =>
    proveServer({
      ...{ upstream, dialect, continuing, style, path, headers, body: asked },
      timeoutMs: policy.timeouts.firstToken,
      maxBytes: limits.maxBodyBytes,
    });
  const sought = shared.continuations.prove(proofKey(dialect, continuing, body), seek);
  // Others may wait for the same proof: this run's end is none of theirs.
  return Promise.race([sought, once(signal)]);
}

/** @throws the reason, when it is aborted. */
function once(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** A proof holds for a model, and for the way in which it thinks. */
export function proofKey({ name }: Dialect, continuing: Continuing, body: unknown): string {
  return `${name} ${JSON.stringify(continuing.askQuestion(body, "", 1))}`;
}
