/** Holds an attempt's events until the first content, so that a failure before it can be retried unseen. */
import type { ClientResponse, ReplyHeaders } from "./client-response.ts";

export class Gate {
  readonly #response: ClientResponse;
  readonly #headers: ReplyHeaders;
  readonly #maxBytes: number;
  #held = "";
  #heldEvents = 0;
  #heldBytes = 0;
  #open = false;

  /** @param maxBytes how much may be held (`limits.maxGateBytes`); past that the gate opens by itself, so nothing is lost. */
  constructor(response: ClientResponse, headers: ReplyHeaders, maxBytes: number) {
    this.#response = response;
    this.#headers = headers;
    this.#maxBytes = maxBytes;
  }

  /** Whole events in wire form, as many as one read brought. @returns false when the client reads too slowly. */
  push(text: string, events: number, hasContent: boolean): boolean {
    if (this.#open) return this.#response.write(text, events, hasContent);
    this.#held += text;
    this.#heldEvents += events;
    this.#heldBytes += Buffer.byteLength(text);
    if (hasContent || this.#heldBytes > this.#maxBytes) return this.open();
    this.#response.heldBytes = this.#heldBytes;
    return true;
  }

  /** This attempt has won. @returns false when the client reads too slowly. */
  open(): boolean {
    if (this.#open) return true;
    this.#open = true;
    this.#response.commit(this.#headers);
    const text = this.#held;
    this.#held = "";
    this.#response.heldBytes = 0;
    return text === "" || this.#response.write(text, this.#heldEvents);
  }
}
