/** What a run's clients have been given: behind every hold and gate, so never more than they got. */
import type { StreamEvent } from "./stream-event.ts";

export interface Transcript {
  /** Characters of text. */
  readonly characters: number;
  /** The event that was given last: what its dialect numbers goes on from there. */
  readonly lastEvent: StreamEvent | undefined;
}

export class TranscriptBuilder implements Transcript {
  characters = 0;
  lastEvent: StreamEvent | undefined;

  append(event: StreamEvent): void {
    this.characters += event.characters ?? 0;
    this.lastEvent = event;
  }
}
