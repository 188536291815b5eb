/** Who is shown what clients ask and are answered, where a setting allows that (`dashboard.text`). Observers never are. */
import type { Exchange } from "./exchange.ts";
import type { StreamEvent } from "./stream-event.ts";

/** Never throws: what it shows is no part of an exchange. */
export interface TextWatch {
  /** A request that a dialect understands. */
  begin(exchange: Exchange): AnswerWatch;
}

export interface AnswerWatch {
  /** An event of a stream is given to the client. */
  event(event: StreamEvent): void;
  /** An answer that is not streamed is. */
  whole(body: Buffer): void;
}
