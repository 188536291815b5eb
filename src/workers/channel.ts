/** Calls between the primary and one of its workers, over the pipe that Node has between them; each may call the other. */
import type { ChildProcess } from "node:child_process";

/** One end of the pipe: a child as its parent has it, or the process itself. */
export type End = Pick<NodeJS.Process, "connected" | "send" | "on"> | Pick<ChildProcess, "connected" | "send" | "on">;

/** What one side can be asked, by name. */
export type Calls = Readonly<Record<string, (asked: never) => unknown>>;

type AskedOf<Call> = Call extends () => unknown ? undefined : Call extends (asked: infer Asked) => unknown ? Asked : never;
type AnswerOf<Call extends (asked: never) => unknown> = Awaited<ReturnType<Call>>;

type Message =
  | { readonly perennial: "call"; readonly number: number | undefined; readonly name: string; readonly asked: unknown }
  | { readonly perennial: "answer"; readonly number: number; readonly answer: unknown }
  | { readonly perennial: "failure"; readonly number: number; readonly reason: string };

interface Waiting {
  resolve(answer: unknown): void;
  reject(reason: Error): void;
}

/** The other side has ended. */
export class ChannelClosed extends Error {
  override readonly name = "ChannelClosed";

  constructor() {
    super("the process at the other end has ended");
  }
}

/** @typeParam Theirs what the other side can be asked. */
export class Channel<Theirs extends Calls> {
  readonly #end: End;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @param own what this side can be asked. */
  constructor(end: End, own: Calls) {
    this.#end = end;
    const { on } = end as NodeJS.Process;
    on.call(end, "message", (received: unknown) => {
      const message = received as Message;
      if (message.perennial === "call") void this.#answer(message, own);
      else if (message.perennial === "answer") this.#take(message.number)?.resolve(message.answer);
      else if (message.perennial === "failure") this.#take(message.number)?.reject(new Error(message.reason));
    });
    on.call(end, "disconnect", () => this.#giveUp());
  }

  /** @throws ChannelClosed; an Error where what it did has failed for a defect. */
  call<Name extends keyof Theirs & string>(name: Name, asked: AskedOf<Theirs[Name]>): Promise<AnswerOf<Theirs[Name]>> {
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve: resolve as Waiting["resolve"], reject });
      if (!this.#send({ perennial: "call", number, name, asked })) this.#take(number)?.reject(new ChannelClosed());
    });
  }

  /** Nothing is answered, and nothing is waited for. */
  tell<Name extends keyof Theirs & string>(name: Name, asked: AskedOf<Theirs[Name]>): void {
    this.#send({ perennial: "call", number: undefined, name, asked });
  }

  async #answer({ number, name, asked }: Message & { perennial: "call" }, own: Calls): Promise<void> {
    try {
      const answer = await own[name]?.(asked as never);
      if (number !== undefined) this.#send({ perennial: "answer", number, answer });
    } catch (error) {
      if (number === undefined) throw error;
      this.#send({
        perennial: "failure",
        number,
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }

  #send(message: Message): boolean {
    if (!this.#end.connected) return false;
    // Its reader may go away while it is written; then the end of the pipe tells.
    (this.#end as ChildProcess).send(message, () => {});
    return true;
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    return waiting;
  }

  #giveUp(): void {
    for (const number of [...this.#waiting.keys()]) this.#take(number)?.reject(new ChannelClosed());
  }
}
