/** Questions to a child process over its IPC channel, each with one answer. */
import type { ChildProcess } from "node:child_process";

interface Numbered {
  readonly number: number;
  readonly value: unknown;
}

/** The parent's side. @returns how to ask; it rejects when the child ends. */
export function createAsk<Question, Answer>(child: ChildProcess): (question: Question) => Promise<Answer> {
  const waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  let last = 0;
  child.on("message", ({ number, value }: Numbered) => {
    waiting.get(number)?.resolve(value as Answer);
    waiting.delete(number);
  });
  child.once("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the process has ended (${code ?? signal}) and cannot answer`));
    waiting.clear();
  });
  return (value) =>
    new Promise((resolve, reject) => {
      const number = ++last;
      waiting.set(number, { resolve, reject });
      child.send({ number, value }, (error) => {
        if (error !== null) reject(error);
      });
    });
}

/** The child's side. */
export function answerParent<Question, Answer>(answer: (question: Question) => Answer | Promise<Answer>): void {
  process.on("message", async ({ number, value }: Numbered) => {
    process.send?.({ number, value: await answer(value as Question) });
  });
}
