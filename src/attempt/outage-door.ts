/** What one run goes through before it may ask: the outage gates of the upstream, and the count of how long they have kept it. */
import type { OutagePace, OutageView, Turn } from "../balance/outage-gate.ts";
import type { Outages } from "../balance/outages.ts";
import { isAvailable } from "../balance/selector.ts";
import type { Exchange } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import { OutageClock } from "./outage-clock.ts";

export interface OutageDoorOptions {
  readonly exchange: Exchange;
  /** Undefined where a request is sent once, whatever happens: then there is no door. */
  readonly pace: OutagePace | undefined;
  readonly signal: AbortSignal;
}

/** How often it has asked in vain, and whether it has asked at all. */
export interface Asked {
  readonly inVain: number;
  readonly isNew: boolean;
  /** Where the upstream has gone out since it was chosen, another one is to be asked, if one can. @defaultValue false */
  readonly looksFirst?: boolean;
}

/** What may be out by itself: of a gateway one model may be loading while the others answer. */
export function partOf({ api, request }: Pick<Exchange, "api" | "request">): string {
  return api?.request.model ?? request.path;
}

export class OutageDoor {
  readonly #options: OutageDoorOptions;
  readonly #clock = new OutageClock();

  constructor(options: OutageDoorOptions) {
    this.#options = options;
  }

  /**
   * While the upstream is out, one asks for all.
   * @param outagesOf those of the upstream that is to be asked: another one, maybe, once this is found to be out.
   * @param onOut told each time that another has asked in vain; throws when this one waits no longer.
   */
  async enter(outagesOf: () => Outages, asked: Asked, onOut: (outage: OutageView) => void): Promise<Turn | undefined> {
    const { exchange, pace, signal } = this.#options;
    if (pace === undefined) return undefined;
    const part = partOf(exchange);
    const { arrivedAt } = exchange;
    const outage = asked.looksFirst ? outagesOf().standing(part) : undefined;
    if (outage !== undefined && !isAvailable({ outage })) onOut(this.#forThisRun(outage));
    for (let { isNew } = asked; ; isNew = false) {
      const entered = await outagesOf().enter(part, { arrivedAt, asked: asked.inVain, isNew, pace, signal });
      if ("works" in entered) return entered;
      this.#clock.start();
      onOut(this.#forThisRun(entered));
    }
  }

  /** An attempt has failed. @returns how the outage stands that this was part of. */
  learn(turn: Turn | undefined, failure: Failure): OutageView | undefined {
    if (failure.outage !== undefined) {
      this.#clock.start();
      return turn && this.#forThisRun(turn.isOut(failure));
    }
    this.isOver();
    // What ended it from outside says nothing of the upstream.
    if (this.#options.signal.aborted) turn?.giveBack();
    else turn?.works();
    return undefined;
  }

  /** An upstream works on the request: what is waited for from now on is its answer. */
  isOver(): void {
    this.#clock.stop();
  }

  /** The upstream may have answered others in between. */
  #forThisRun(outage: OutageView): OutageView {
    const keptMs = this.#clock.totalMs;
    return { ...outage, lastedMs: Math.max(outage.lastedMs, keptMs), keptMs };
  }
}
