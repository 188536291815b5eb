/**
 * How far clients may be given an answer that is kept. Where another replica may have to go on with it they are given only what that
 * one would find: whatever becomes of this one, it goes on from there or behind it, and nobody is told a thing twice, or another one.
 */
type LedgerState =
  /** Nobody else goes on with it: all of it, as it comes. */
  | { readonly at: "open" }
  | { readonly at: "ahead"; readonly written: number; readonly isEndWritten: boolean }
  /** It could not be written: what follows `after` is known here alone. */
  | { readonly at: "off"; readonly after: number }
  /** Another replica goes on with it. */
  | { readonly at: "lost"; readonly after: number };

/**
 * Added to the numbers of events that are known here alone: another replica may give these numbers to other events, and has to take
 * those of a client that has had ours for none of its own.
 */
export const OFF_RECORD = 10 ** 12;

export class KeptLedger {
  #state: LedgerState;

  /** @param written the number of the last event that is written; undefined where nobody else may have to go on with the answer. */
  constructor(written: number | undefined) {
    this.#state = written === undefined ? { at: "open" } : { at: "ahead", written, isEndWritten: false };
  }

  /** Clients are given events once they are written, and not as they come. */
  get isAhead(): boolean {
    return this.#state.at === "ahead";
  }

  get isLost(): boolean {
    return this.#state.at === "lost";
  }

  /** The number of the last event that a client may be given. @param last that there is */
  upTo(last: number): number {
    const state = this.#state;
    if (state.at === "ahead") return state.written;
    return state.at === "lost" ? state.after : last;
  }

  /** How it ended may be told. */
  get mayEnd(): boolean {
    return this.#state.at === "ahead" ? this.#state.isEndWritten : this.#state.at !== "lost";
  }

  /** The number of the event behind which clients are given other numbers; undefined for none. */
  get renumbersAfter(): number | undefined {
    return this.#state.at === "off" ? this.#state.after : undefined;
  }

  /** The event of which a client names the number; undefined where no event here has it. */
  eventOf(number: number): number | undefined {
    const after = this.renumbersAfter;
    if (number < OFF_RECORD) return after !== undefined && number > after ? undefined : number;
    const event = number - OFF_RECORD;
    return after !== undefined && event > after ? event : undefined;
  }

  /** The number by which clients know an event. */
  numberOf(event: number): number {
    const after = this.renumbersAfter;
    return after !== undefined && event > after ? event + OFF_RECORD : event;
  }

  wrote(upTo: number): void {
    if (this.#state.at === "ahead") this.#state = { ...this.#state, written: upTo };
  }

  wroteEnd(): void {
    if (this.#state.at === "ahead") this.#state = { ...this.#state, isEndWritten: true };
  }

  /** From here on it is known here alone. */
  isBroken(): void {
    if (this.#state.at === "ahead") this.#state = { at: "off", after: this.#state.written };
  }

  isTakenOver(): void {
    if (this.#state.at === "ahead") this.#state = { at: "lost", after: this.#state.written };
  }
}
