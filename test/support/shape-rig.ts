/** Perennial before a server of one shape whose answers break: how a test asks, and what it finds wrong. */
import { chat, readStream } from "./client.ts";
import { startPerennial } from "./perennial.ts";
import { ANSWERS, scripted } from "./scripted-model.ts";
import { type Generate, type Mode, type Shape, startServingShape } from "./serving-shapes.ts";

export interface Asked {
  /** One of {@link ANSWERS}. */
  readonly question: string;
  readonly mode: Mode;
  readonly temperature: number;
  /** Behind so many tokens the connection breaks. */
  readonly place: number;
  readonly fields?: object;
}

export interface HeardOfShape {
  readonly whole: string;
  readonly text: string;
  readonly done: boolean;
  readonly errorCode: string | undefined;
  readonly rule: string | undefined;
  /** What was counted, where it was. */
  readonly usage: unknown;
}

export interface ShapeRig {
  hear(asked: Asked): Promise<HeardOfShape>;
  close(): Promise<void>;
}

export async function startShapeRig(
  shape: Shape,
  settings: Record<string, unknown> = {},
  model: Generate = scripted,
): Promise<ShapeRig> {
  const serving = await startServingShape(shape, model);
  const perennial = await startPerennial(serving.baseUrl, {
    recovery: "continue",
    resume: { minChars: 24 },
    upstream: { profile: shape },
    ...settings,
  });
  return {
    async hear({ question, mode, temperature, place, fields = {} }) {
      serving.breakNextAfter(place);
      const messages = [{ role: "user", content: question }];
      const { body } = await chat(perennial.baseUrl, { model: mode, temperature, messages, ...fields });
      const { text, done, errorCode, data } = readStream(body);
      const usage = data.filter((item) => item.startsWith("{")).map((item) => JSON.parse(item).usage);
      const rule = /could not be continued \(([a-z-]+)\)/.exec(body)?.[1];
      return { whole: ANSWERS[question] ?? "", text, done, errorCode, rule, usage: usage.findLast((each) => each) };
    },
    async close() {
      await perennial.close();
      await serving.close();
    },
  };
}

/** Nothing, where a client was told a beginning of the answer and an error, or all of it, and all only by a server that goes on. */
export function flawsOf({ whole, text, done, errorCode, rule }: HeardOfShape, { mode, temperature }: Asked): readonly string[] {
  const goesOn = mode === "honours" || mode === "trims";
  return [
    ...(whole.startsWith(text) ? [] : [`it is no beginning of the answer: ${JSON.stringify(text.slice(-80))}`]),
    ...(done && text !== whole ? ["a part was told to be whole"] : []),
    ...(done === (errorCode === undefined) ? [] : [`done: ${done}, error: ${errorCode}`]),
    ...(done && !goesOn ? ["a server that does not go on was believed"] : []),
    // One that goes on to the letter is believed. Of chance, one that says the same again and again is doubted.
    ...(!done && mode === "honours" && !["too-short", ...(temperature === 0 ? [] : DOUBTS)].includes(`${rule}`)
      ? [`it was not gone on with: ${rule}`]
      : []),
  ];
}

const DOUBTS = ["repetition", "restart", "shape", "empty"];
