/** What is written down of one exchange with its upstreams, where its client asks for that and `record` allows it. */
import type { Failure } from "./failure.ts";
import type { ReplyHeaders } from "./reply.ts";

/** Sees what an upstream answers to one request, beside whoever reads it: one end of three, and nothing after it. Never throws. */
export interface CallWatch {
  /** The request goes out now. Twice where a kept connection turned out to be dead. */
  onHandover(): void;
  onHead(status: number, headers: ReplyHeaders): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFailure(failure: Failure): void;
  /** Nobody listens any more, and it had not ended. */
  onLeft(): void;
}

export interface Recording {
  /** @param url the whole address that is asked. */
  call(url: string): CallWatch;
  /** The exchange is over. Resolves when it is written, or when that is given up; never rejects. */
  end(): Promise<void>;
}
