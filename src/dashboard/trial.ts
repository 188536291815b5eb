/** One way of asking the sandbox, as a program that does so would live through it. */
import { ANSWER } from "../chaos/answer.ts";
import { NaiveClient } from "./naive-client.ts";

export type Way = "direct" | "through";

export interface Trial {
  readonly text: string;
  /** How much of the answer that is, in percent. */
  readonly share: number;
  /** `silent`: it was told that this is the answer, and it is not. */
  readonly verdict: "running" | "complete" | "silent" | "error";
  /** What it was told: a failure code, a status, or nothing that says anything. */
  readonly error: string;
  readonly attempts: number;
  readonly ms: number;
  /** Under which the stream can be found; undefined where Perennial was not asked. */
  readonly id: string | undefined;
}

type Heard = { head: { status: number; id?: string; attempts?: number } } | { read: string } | { end: "clean" | "cut" };

/** @returns what gives it up. */
export function watchTrial(way: Way, model: string, onChange: (trial: Trial) => void): () => void {
  const client = new NaiveClient();
  const began = performance.now();
  let id: string | undefined;
  let attempts = 1;
  const source = new EventSource(`dashboard/try?way=${way}&model=${encodeURIComponent(model)}`);
  const tell = (): void => {
    const { text, end } = client.reading;
    const isOver = end !== "not yet";
    const verdict = end === "not yet" ? "running" : end !== "over" ? "error" : text === ANSWER ? "complete" : "silent";
    if (isOver) source.close();
    const share = Math.round((100 * text.length) / ANSWER.length);
    onChange({
      text,
      share,
      verdict,
      error: typeof end === "object" ? end.error : "",
      attempts,
      ms: performance.now() - began,
      id,
    });
  };
  source.onmessage = ({ data }) => {
    const heard = JSON.parse(data) as Heard;
    if ("head" in heard) {
      id = heard.head.id;
      attempts = heard.head.attempts ?? 1;
      client.head(heard.head.status);
    } else if ("read" in heard) client.read(heard.read);
    else client.end(heard.end);
    tell();
  };
  // It would begin again by itself.
  source.onerror = () => {
    source.close();
    client.end("cut");
    tell();
  };
  tell();
  return () => source.close();
}
