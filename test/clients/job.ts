/** What a client is asked to do, and what its program was told in the end. */

export interface Job {
  /** Unique; it is the prompt too, so that the upstream's requests can be counted. */
  readonly id: string;
  /** With `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly stream: boolean;
  /** The client's own retries at their default; otherwise off. */
  readonly ownRetries: boolean;
  /** Pause after each piece of text, in milliseconds: a reader that does something with what it reads. */
  readonly readMs?: number;
  /** Which API is asked; of the SDKs alone. @defaultValue "chat" */
  readonly api?: "chat" | "responses";
  /** For the loops people copy: whether they go on after `chunk["choices"]` was missing. @defaultValue true */
  readonly skipKeyError?: boolean;
}

export interface Told {
  readonly told: "complete" | "error";
  /** The exception's class as the program would name it; for curl, `curl`. */
  readonly type: string | null;
  /** What the exception says without being taken apart: the error's code, or the HTTP status, or the exit code. */
  readonly code: string | null;
  /** The answer so far. */
  readonly text: string;
  /** How often the program itself began again. */
  readonly retries: number;
}

export interface Client {
  readonly name: string;
  /** Whether it can ask for an answer that is not streamed. */
  readonly plain: boolean;
  /** @param signal gives up where the client can. */
  ask(job: Job, signal?: AbortSignal): Promise<Told>;
}
