/** Runs what the policy decides, until one attempt wins or it gives up. */
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { isUpstreamsFault } from "../balance/breaker.ts";
import type { Candidate } from "../balance/candidate.ts";
import type { Release } from "../balance/connection-queue.ts";
import { isAboutKey } from "../balance/credential-rests.ts";
import type { OutageView, Turn } from "../balance/outage-gate.ts";
import type { RateTurn } from "../balance/rate/rate-ask.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Exchange } from "../core/exchange.ts";
import { type Failure, toFailure, withDetails } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { Progress } from "../core/progress.ts";
import type { AttemptPlan, AttemptPolicy, PastAttempt, RunState, RunView } from "./attempt-policy.ts";
import { costlyOf, isRefusedAlteration } from "./choose-ask.ts";
import { type Entered, enterDoors } from "./enter-doors.ts";
import { enterQueue } from "./enter-queue.ts";
import { tokensOf } from "./enter-rate.ts";
import { explainRefusal } from "./explain-refusal.ts";
import { attemptsAt } from "./failover.ts";
import { firstOf, HedgeRace, Lost, type Racer } from "./hedge-race.ts";
import { OutageDoor, partOf } from "./outage-door.ts";
import type { Used } from "./usage-meter.ts";

/** Where clients bring a key. */
const CREDENTIALS = ["authorization", "x-api-key", "api-key"];

export interface AttemptLoopOptions {
  /** To whom attempts are reported. */
  readonly exchange: Exchange;
  /** Each attempt is added as it begins. */
  readonly attempts: Attempt[];
  readonly policy: AttemptPolicy;
  readonly observer: Observer;
  /** Those that were made before, elsewhere. @defaultValue none */
  readonly past?: readonly PastAttempt[] | undefined;
  /** On the clock of `performance.now()`: after this no attempt may begin. */
  readonly deadlineAt: number;
  readonly signal: AbortSignal;
  readonly state: () => RunState;
  /** Told what its clients wait for. */
  onProgress(progress: Progress): void;
}

export interface PlannedAttempt {
  readonly attempt: Attempt;
  readonly plan: AttemptPlan;
  /** Ends this attempt: with the run, or since another was faster. */
  readonly signal: AbortSignal;
  /** Nothing is known that speaks against the upstream. */
  readonly isHopeful: boolean;
  /** The upstream works on it, as far as can be known. */
  onTaken(): void;
  /** Told what it took, before it is over, where tokens are counted. */
  onUsed(used: Used): void;
  /** It has brought content; undefined without hedging. @returns false when another attempt has before it. */
  readonly onContent?: (() => boolean) | undefined;
}

/** How an attempt ended; `lost` where another was faster, so that nothing is known of it. */
type Ended<T> =
  | { readonly at: "won"; readonly result: T }
  | { readonly at: "failed"; readonly past: PastAttempt }
  | { readonly at: "lost" };

/** What an attempt goes through before it begins, and what it gives back. */
interface Lane {
  readonly plan: AttemptPlan;
  readonly door: OutageDoor;
  readonly turn: Turn | undefined;
  readonly rated: RateTurn | undefined;
  readonly release: Release;
  /** Undefined where no other may run beside it. */
  readonly race: HedgeRace | undefined;
  readonly isHedge: boolean;
}

/**
 * @param onUsed told what each attempt took that was not lost, where tokens are counted.
 * @throws Failure with which the policy gave up, or the reason for which `signal` was aborted.
 */
export async function runAttempts<T>(
  options: AttemptLoopOptions,
  run: (planned: PlannedAttempt) => Promise<T>,
  onUsed: (used: Used) => void = () => {},
): Promise<T> {
  const { exchange, attempts, policy, observer, signal } = options;
  const { learnFirstContent: learn } = policy;
  const history: PastAttempt[] = [...(options.past ?? [])];
  const door = new OutageDoor({ exchange, pace: policy.outagePace, signal });
  let plan = nextPlan(undefined);

  function view(outage: OutageView | undefined): RunView {
    return { history, state: options.state(), remainingMs: options.deadlineAt - performance.now(), outage };
  }

  /** @throws Failure */
  function nextPlan(outage: OutageView | undefined): AttemptPlan {
    const decision = policy.next(view(outage));
    if ("giveUp" in decision) throw decision.giveUp;
    return decision.plan;
  }

  /** There is no place for the rest of an answer: what its clients are told is how the answer broke that they have some of. */
  function brokenBefore(thrown: unknown): unknown {
    const last = history.at(-1);
    const isRest = typeof plan.ask === "object" && toFailure(thrown).code === "rate_limited";
    return isRest && last !== undefined ? withDetails(last.failure, {}) : thrown;
  }

  function tellNext({ plan: before }: PastAttempt): void {
    const { upstream } = plan.candidate;
    const isOther = upstream.name !== before.candidate.upstream.name;
    const number = costlyOf(history).length + 1;
    // What cost nothing is not counted.
    if (number === 1) return;
    options.onProgress({ at: "attempt", number, of: policy.maxAttempts, upstream: isOther ? upstream.name : undefined });
  }

  async function attemptOnce({ plan, turn, rated, release, race, isHedge, door }: Lane): Promise<Ended<T>> {
    let used: Used | undefined;
    let failed: Failure | undefined;
    let isWhole = false;
    const began = performance.now();
    const attempt: Attempt = {
      number: attempts.length + 1,
      upstream: plan.candidate.upstream.name,
      startedAt: Date.now(),
      durationMs: 0,
      failure: undefined,
      status: undefined,
      ...(isHedge ? { hedge: true } : {}),
    };
    attempts.push(attempt);
    const racer = race?.enter(attempt);
    const { open } = plan.candidate.shared;
    open.count++;
    observer.onAttemptStart?.(exchange, attempt);
    try {
      const wasOut = attemptsAt(history, plan.candidate).some(({ failure }) => failure.outage !== undefined);
      const isHopeful = turn?.asksForAll !== true && !wasOut;
      const onTaken = (): void => {
        turn?.works();
        door.isOver();
      };
      const onContent = contentListener(racer, learn && (() => learn(performance.now() - began)));
      const measure = (told: Used): void => {
        used = told;
        if (!attempt.lost) onUsed(told);
      };
      const until = racer?.signal ?? signal;
      const result = await run({ attempt, plan, signal: until, isHopeful, onTaken, onUsed: measure, onContent });
      isWhole = true;
      return racer?.claim() === false ? { at: "lost" } : { at: "won", result };
    } catch (thrown) {
      if (attempt.lost) {
        // It would have taken this long, or longer.
        learn?.(performance.now() - began);
        return { at: "lost" };
      }
      const failure = toFailure(thrown);
      failed = failure;
      attempt.failure = failure.code;
      attempt.seam = failure.seam;
      attempt.warning = explainRefusal(failure, {
        upstream: attempt.upstream,
        hasOwnKey: plan.candidate.upstream.hasOwnKey,
        clientHasKey:
          plan.candidate.upstream.getsClientKey && CREDENTIALS.some((name) => exchange.request.headers[name] !== undefined),
        dialect: exchange.api?.dialect.name,
      });
      forgetReply(history);
      const past = { attempt, plan, failure };
      history.push(past);
      return { at: "failed", past };
    } finally {
      attempt.durationMs = Math.round(performance.now() - began);
      open.count--;
      release();
      const { rate } = plan.candidate;
      // Where there was no connection it was not sent.
      if (failed?.outage === "connection") rated?.giveBack();
      else if (rate !== undefined) rated?.end(tokensOf(rate, used, failed), isWhole);
      observer.onAttemptEnd?.(exchange, attempt);
    }
  }

  /** @throws Failure; Lost */
  async function attemptAndLearn(lane: Lane): Promise<T> {
    const { plan, turn, door } = lane;
    const ended = await attemptOnce(lane);
    switch (ended.at) {
      case "won":
        learnSuccess(plan.candidate, part);
        turn?.works();
        rememberRefusals(plan, history, exchange);
        return ended.result;
      case "failed":
        outage = door.learn(turn, ended.past.failure);
        learnFailure(ended.past, part, policy.hasOthers);
        throw ended.past.failure;
      case "lost":
        turn?.giveBack();
        throw new Lost();
    }
  }

  async function queueFor({ candidate }: AttemptPlan, { turn, rated }: Entered, until: AbortSignal): Promise<Release> {
    try {
      return await enterQueue(candidate, exchange, observer, until);
    } catch (thrown) {
      rated?.giveBack();
      turn?.giveBack();
      throw thrown;
    }
  }

  /**
   * A second attempt beside one that is slow.
   * @throws Failure; Lost where none could begin in time.
   */
  async function hedge(slow: AttemptPlan, race: HedgeRace): Promise<T> {
    const second = policy.hedge?.(view(undefined), slow);
    if (second === undefined) throw new Lost();
    const door = new OutageDoor({ exchange, pace: policy.outagePace, signal: race.signal });
    const asked = { inVain: 0, isNew: true };
    const giveUp = (): never => {
      throw new Lost();
    };
    const turn = await door.enter(() => second.candidate.shared.outages, asked, giveUp).catch(giveUp);
    const { rate } = second.candidate;
    const rated = await rate?.enterAtOnce(race.signal).catch(() => undefined);
    if (rate !== undefined && rated === undefined) {
      turn?.giveBack();
      return giveUp();
    }
    const release = await queueFor(second, { turn, rated }, race.signal).catch(giveUp);
    if (!race.isOver) return attemptAndLearn({ plan: second, door, turn, rated, release, race, isHedge: true });
    turn?.giveBack();
    rated?.giveBack();
    release();
    return giveUp();
  }

  const part = partOf(exchange);
  let outage: OutageView | undefined;
  return pRetry(
    async () => {
      signal.throwIfAborted();
      const inVain = history.filter(({ failure }) => failure.outage !== undefined).length;
      const isNew = history.length === 0;
      const { turn, rated } = await enterDoors({
        ...{ door, exchange, observer, signal },
        asked: { inVain, isNew, looksFirst: !isNew && policy.hasOthers && plan.atGate !== true },
        plan: () => plan,
        onOut(out) {
          plan = nextPlan(out);
        },
        onLimited() {
          // A retry was planned once, with its wait and its part of the budget.
          if (history.length === 0) plan = nextPlan(undefined);
        },
        onAhead: (ahead) => options.onProgress({ at: "queue", ahead }),
      }).catch((thrown: unknown) => {
        throw brokenBefore(thrown);
      });
      const release = await queueFor(plan, { turn, rated }, signal);
      const afterMs = turn?.asksForAll ? undefined : plan.hedgeAfterMs;
      if (afterMs === undefined) return attemptAndLearn({ plan, door, turn, rated, release, race: undefined, isHedge: false });
      const race = new HedgeRace(signal);
      const first = attemptAndLearn({ plan, door, turn, rated, release, race, isHedge: false });
      return (await race.isSlow(first, afterMs)) ? firstOf([first, hedge(plan, race)]) : first;
    },
    {
      // Whether and when is the policy's to say.
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      // No signal here: it would undo an attempt that was found whole at the moment of the abort. The call and the wait heed it.
      async onFailedAttempt({ error }) {
        const past = history.at(-1);
        // Nothing was tried: the signal was aborted before, or there was no turn and no connection.
        if (past?.failure !== error) throw error;
        plan = nextPlan(outage);
        observer.onRetry?.(exchange, past.attempt, past.failure, plan.delayMs);
        tellNext(past);
        if (!plan.atGate) await sleep(plan.delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      },
    },
  );
}

/** Content may be seen more than once. Undefined where nobody asks for it. */
function contentListener(racer: Racer | undefined, learn: (() => void) | undefined): (() => boolean) | undefined {
  if (racer === undefined && learn === undefined) return undefined;
  let isKnown = false;
  return () => {
    if (!isKnown) learn?.();
    isKnown = true;
    return racer?.claim() ?? true;
  };
}

/** For all who ask the same after this one. */
function learnSuccess({ shared, credential }: Candidate, part: string): void {
  shared.breaker.succeeded(part);
  credential?.works(part);
}

function learnFailure({ plan, failure }: PastAttempt, part: string, hasOthers: boolean): void {
  const { shared, credential, policy } = plan.candidate;
  if (isAboutKey(failure)) credential?.rest(part, failure);
  if (isAboutKey(failure) && failure.status === 429 && failure.retryAfterMs !== undefined) {
    plan.candidate.rate?.hold(failure.retryAfterMs);
  }
  const { breaker } = policy;
  // That it will not go on with an answer says nothing of other requests.
  if (typeof plan.ask === "object") return;
  if (breaker === undefined || !(breaker.alone || hasOthers) || !isUpstreamsFault(failure)) return;
  if (shared.breaker.failed(part, breaker)) shared.outages.rest(part, failure, breaker.restMs);
}

/** In bytes. */
const SMALL_REPLY = 65_536;

/** What an attempt before the last was refused with can be large; a small one may be told yet, when no other upstream has a better word. */
function forgetReply(history: PastAttempt[]): void {
  const last = history.at(-1);
  if (last?.failure.reply !== undefined && last.failure.reply.body.length > SMALL_REPLY)
    history[history.length - 1] = { ...last, failure: withDetails(last.failure, { reply: undefined }) };
}

/** The client's own request was taken: what was refused before was the alteration. */
function rememberRefusals({ candidate, ask }: AttemptPlan, history: readonly PastAttempt[], { api }: Exchange): void {
  if (ask !== "as-asked") return;
  for (const past of attemptsAt(history, candidate)) {
    const { ask: altered } = past.plan;
    if (typeof altered === "string" && altered !== "as-asked" && isRefusedAlteration(past))
      candidate.shared.refusedAsks.add(api?.request.model, altered);
  }
}
