/** What a run's clients have been given: behind every hold and gate, so never more than they got. */
import type { AnswerRecord, AnswerRecorder } from "./answer-record.ts";
import type { StreamEvent } from "./stream-event.ts";

export interface Transcript {
  /** Characters of text. */
  readonly characters: number;
  /** The event that was given last: what its dialect numbers goes on from there. */
  readonly lastEvent: StreamEvent | undefined;
  /** The answer itself; undefined where it is not to be continued. */
  readonly record: AnswerRecord | undefined;
}

export class TranscriptBuilder implements Transcript {
  readonly record: AnswerRecorder | undefined;
  characters = 0;
  lastEvent: StreamEvent | undefined;

  constructor(record?: AnswerRecorder) {
    this.record = record;
  }

  append(event: StreamEvent): void {
    this.characters += event.characters ?? 0;
    this.lastEvent = event;
    this.record?.add(event);
  }
}
