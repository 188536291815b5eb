/** One log line for each exchange, at its end; never a word of what was asked or answered. */
import type { Logger } from "pino";
import { decisiveOf, paidTwiceBy } from "../core/attempt.ts";
import type { Exchange, ExchangeEnd } from "../core/exchange.ts";
import type { Observer } from "../core/observer.ts";
import { type Outcome, outcomeOfRefusal } from "../core/outcome.ts";
import { describeDefect } from "./describe-defect.ts";
import { createRateLimit } from "./rate-limit.ts";

/** The client names the model, so it could be anything, of any length. */
const MAX_MODEL_LENGTH = 200;

const LEVELS: Readonly<Record<Outcome, "info" | "warn">> = {
  complete: "info",
  recovered: "info",
  repaired: "info",
  resumed: "info",
  cancelled: "info",
  failed: "warn",
  interrupted: "warn",
  rejected: "warn",
};

/** A warning for each request would drown the rest of the log, in milliseconds. */
const WARNING_MS = 60_000;

export function createExchangeLog(logger: Logger): Observer {
  const isDue = createRateLimit(WARNING_MS);
  /** An odd answer is worth a warning, its like within the minute is not. Of what kind it is stands before the word that varies. */
  const levelOf = ({ outcome }: ExchangeEnd, warning: string | undefined): (typeof LEVELS)[Outcome] => {
    const isNews = warning !== undefined && LEVELS[outcome] === "info" && isDue(warning.split(/[":]/, 1)[0] ?? "");
    return isNews ? "warn" : LEVELS[outcome];
  };
  return {
    onQueueStart(_exchange, upstream) {
      if (!isDue(`queue ${upstream}`)) return;
      logger.warn({ upstream }, "all connections to the upstream are in use, and requests wait: see maxConnections");
    },

    onRateWaitStart(_exchange, { scope, name }) {
      if (!isDue(`rate ${scope} ${name}`)) return;
      logger.info({ [scope]: name }, `the rate limit of this ${scope} is reached, and requests wait for it in their order`);
    },

    onRetry({ id }, { number, upstream, status }, failure, delayMs) {
      const fields = { id, n: number, upstream, status, failure: failure.code, delayMs: Math.round(delayMs) };
      const why = `attempt ${number} failed: ${failure.message} (${failure.code})`;
      if (failure.outage === undefined) {
        logger.info(fields, `${why}; asked again in ${fields.delayMs} ms, unseen by the client`);
        return;
      }
      // All that wait for an upstream that is out would say the same, again and again.
      const level = isDue(`outage ${upstream}`) ? "info" : "debug";
      logger[level](fields, `${why}; the upstream is out, and requests wait for it as long as retry.outage says`);
    },

    onExchangeEnd(exchange, end) {
      const warning = exchange.attempts.findLast((attempt) => attempt.warning !== undefined)?.warning;
      const level = end.defect === undefined ? levelOf(end, warning) : "error";
      if (!logger.isLevelEnabled(level)) return;
      const { attempts, stats } = exchange;
      logger[level](
        {
          id: exchange.id,
          dialect: exchange.api?.dialect.name ?? "passthrough",
          model: exchange.api?.request.model?.slice(0, MAX_MODEL_LENGTH),
          upstream: decisiveOf(attempts)?.upstream,
          key: exchange.client?.name,
          outcome: end.outcome,
          failure: end.failure,
          warning,
          ...describeSeams(end),
          paidTwice: paidTwiceBy(attempts),
          status: end.status,
          attempts: attempts.map(({ number, upstream, durationMs, status, failure, seam, hedge, lost }) => {
            return { n: number, upstream, ms: Math.round(durationMs), status, failure, seam, hedge, lost };
          }),
          waitedMs: stats.waitedMs === undefined ? undefined : Math.round(stats.waitedMs),
          limitedMs: stats.limitedMs === undefined ? undefined : Math.round(stats.limitedMs),
          firstTokenMs: stats.firstTokenMs === undefined ? undefined : Math.round(stats.firstTokenMs),
          longestGapMs: stats.longestGapMs,
          durationMs: Math.round(end.durationMs),
          events: stats.events,
          bytes: stats.bytes,
          ...describeKept(exchange, end),
          err: end.defect === undefined ? undefined : describeDefect(end.defect),
        },
        describeEnd(exchange, end),
      );
    },

    onRejected({ id, failure, status, durationMs, defect }) {
      const outcome = outcomeOfRefusal(failure);
      logger[defect === undefined ? LEVELS[outcome] : "error"](
        {
          id,
          dialect: "passthrough",
          outcome,
          failure,
          status,
          attempts: [],
          durationMs: Math.round(durationMs),
          events: 0,
          bytes: 0,
          err: defect === undefined ? undefined : describeDefect(defect),
        },
        `${outcome}: ${failure}`,
      );
    },
  };
}

/** How the answer went on over its breaks, and why it did not over the last; nothing of either where it did not break. */
function describeSeams({ seams = [], seam }: ExchangeEnd): object {
  return {
    ...(seams.length === 0 ? {} : { by: [...new Set(seams)].join(","), seams: seams.length }),
    ...(seam === undefined ? {} : { seam }),
  };
}

/** So much of a stream's id tells it from others, and opens nothing. */
const SHOWN_OF_ID = 8;

/** Nothing of it where the answer was not kept. */
function describeKept({ kept }: Exchange, { lingered }: ExchangeEnd): object {
  if (kept === undefined) return {};
  return {
    stream: kept.stream.slice(0, SHOWN_OF_ID),
    ...(kept.way === undefined ? {} : { cameBack: kept.way }),
    ...(kept.takenOver ? { takenOver: true } : {}),
    ...(lingered === undefined ? {} : { lingeredMs: Math.round(lingered.ms), lingeredCharacters: lingered.characters }),
  };
}

function describeEnd({ attempts }: Exchange, { outcome, failure }: ExchangeEnd): string {
  if (outcome === "cancelled") return "cancelled by the client";
  const after = attempts.length > 1 ? ` after ${attempts.length} attempts` : "";
  return failure === undefined ? `${outcome}${after}` : `${outcome}${after}: ${failure}`;
}
