/** What is known of one upstream's outages: that of its connection, which is for all, and those of each of its models. */
import type { Failure } from "../core/failure.ts";
import { type Asker, OutageGate, type OutageSight, type OutageStanding, type OutageView, type Turn } from "./outage-gate.ts";

/** Clients name the models, so that there could be any number of them. */
const MAX_KEYS = 1_000;

export class Outages {
  readonly #connection = new OutageGate();
  /** Of a gateway one model may be loading while the others answer. Only those that are out. */
  readonly #parts = new Map<string, OutageGate>();

  /**
   * @param part what is asked: a model, or a path.
   * @returns as {@link OutageGate.enter}
   */
  async enter(part: string, asker: Asker): Promise<Turn | OutageView> {
    const gate = this.#parts.get(part) ?? new OutageGate();
    const inner = await gate.enter(asker);
    if (!("works" in inner)) return inner;
    let outer: Turn | OutageView;
    try {
      outer = await this.#connection.enter(asker);
    } catch (reason) {
      inner.giveBack();
      throw reason;
    }
    if ("works" in outer) return this.#join(part, gate, asker, inner, outer);
    inner.giveBack();
    return outer;
  }

  /** How it stands with this part of the upstream; undefined while it is not known to be out. */
  standing(part: string): OutageStanding | undefined {
    const inner = this.#parts.get(part)?.standing;
    const outer = this.#connection.standing;
    if (inner === undefined || outer === undefined) return inner ?? outer;
    return inner.waitMs > outer.waitMs ? inner : outer;
  }

  /** What of it is out, for those who watch: all of it (undefined), and its parts. */
  *recent(): Iterable<readonly [part: string | undefined, sight: OutageSight]> {
    for (const [part, gate] of [[undefined, this.#connection] as const, ...this.#parts]) {
      const { sight } = gate;
      if (sight !== undefined) yield [part, sight];
    }
  }

  /** It was found to be down by one who asks it again by itself: others may as well wait for that. */
  closeConnection(failure: Failure, forMs: number): void {
    this.#connection.close(failure, forMs);
  }

  /** It answers. */
  openConnection(): void {
    this.#connection.open();
  }

  /** A part of the upstream fails too often. */
  rest(part: string, failure: Failure, restMs: number): void {
    const gate = this.#parts.get(part) ?? new OutageGate();
    if (!this.#parts.has(part)) this.#keep(part, gate);
    gate.rest(failure, restMs);
  }

  #join(part: string, gate: OutageGate, asker: Asker, inner: Turn, outer: Turn): Turn {
    return {
      asksForAll: inner.asksForAll || outer.asksForAll,
      works: () => {
        outer.works();
        inner.works();
        if (gate.isUp && this.#parts.get(part) === gate) this.#parts.delete(part);
      },
      isOut: (failure) => {
        if (failure.outage === "connection") {
          inner.giveBack();
          return outer.isOut(failure);
        }
        // There was a connection.
        outer.works();
        // Others went out at the same time, and one of them has said so before.
        const known = this.#parts.get(part);
        if (known !== undefined && known !== gate) return known.report(failure, asker.pace);
        if (known === undefined) this.#keep(part, gate);
        return inner.isOut(failure);
      },
      giveBack: () => {
        outer.giveBack();
        inner.giveBack();
      },
    };
  }

  #keep(part: string, gate: OutageGate): void {
    const [oldest] = this.#parts.keys();
    if (oldest !== undefined && this.#parts.size >= MAX_KEYS) this.#parts.delete(oldest);
    this.#parts.set(part, gate);
  }
}
