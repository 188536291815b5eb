/** Servers of vLLM's and SGLang's shape before a real model that is killed in mid-answer: gone on with where they go on, refused where not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPerennial, type TestPerennial } from "../support/perennial.ts";
import { type Mode, type ServingShape, startServingShape } from "../support/serving-shapes.ts";
import { type AnswerName, QUESTIONS } from "./answers.ts";
import { ask, killedAt } from "./killed.ts";
import { type LlamaServer, startLlamaServer } from "./llama-server.ts";
import { realModel } from "./real-model.ts";

const IS_LONG = process.env.PERENNIAL_LLAMA_STEP === "1";
const ANSWERS: readonly AnswerName[] = IS_LONG ? ["prose", "code", "Chinese"] : ["code"];
const PLACES = IS_LONG ? [12, 17, 23, 30] : [16, 24];
/** Of what is told of a sampled answer nothing is known but that a rule which looks at words may doubt it. */
const DOUBTS = ["repetition", "shape", "chatter", "restart"];

let server: LlamaServer;
beforeAll(async () => {
  server = await startLlamaServer();
});
afterAll(async () => {
  await server?.kill();
});

describe.each(["vllm", "sglang"] as const)("%s", (shape) => {
  let serving: ServingShape;
  let app: TestPerennial;
  /** The first turn of the newest answer, as far as the server has said it. */
  let said = "";

  beforeAll(async () => {
    const onTurn = () => {
      said = "";
      return (piece: string) => {
        said += piece;
      };
    };
    serving = await startServingShape(shape, realModel(server, onTurn));
    app = await startPerennial(serving.baseUrl, {
      recovery: "continue",
      resume: { minChars: 24, tail: 24 },
      retry: { outage: "60s" },
      timeouts: { firstToken: "2m", idle: "2m" },
      upstream: { profile: shape },
    });
  });
  afterAll(async () => {
    await app?.close();
    await serving?.close();
  });

  test.each<[Mode, number]>([
    ["honours", 0],
    ["honours", 0.8],
    ["closes", 0],
    ["closes", 0.8],
    ["echoes", 0],
    ["echoes", 0.8],
  ])(
    "a server that %s, at temperature %d",
    async (mode, temperature) => {
      const endings: string[] = [];
      for (const name of ANSWERS) {
        for (const place of PLACES) {
          const { told, line, given } = await killedAt(server, app, QUESTIONS[name], place, { model: mode, temperature });
          // The answer had come to its end before the server was killed.
          if (line.by === undefined && line.failure === undefined) continue;
          endings.push(line.by ?? line.seam);
          if (line.seam === "too-short") continue;
          expect(said.startsWith(told.text.slice(0, given))).toBe(true);
          if (mode !== "honours") {
            expect(line).toMatchObject({ outcome: "interrupted", seam: temperature === 0 ? "tail" : "sampled" });
            expect(told).toMatchObject({ done: false, errorCode: "stream_truncated" });
          }
          if (line.by === undefined) {
            // All that was told is what the first turn said.
            expect(said.startsWith(told.text)).toBe(true);
            if (mode === "honours") expect(temperature === 0 ? [] : DOUBTS).toContain(line.seam);
            continue;
          }
          expect(line.by).toBe(temperature === 0 ? "answer" : "server");
          if (temperature !== 0) continue;
          const whole = await ask(serving.baseUrl, QUESTIONS[name], { model: mode, max_tokens: place + 16 });
          const compared = whole.ends[Math.min(whole.ends.length, place + 8) - 1] ?? whole.text.length;
          expect(told.text.slice(0, compared)).toBe(whole.text.slice(0, compared));
        }
      }
      process.stdout.write(`llama: ${shape} ${mode} at ${temperature}: ${endings.join(", ")}\n`);
      // Whoever was refused had been asked.
      expect(serving.continued).toBeGreaterThan(0);
      expect(endings.filter((ending) => ending !== "too-short").length).toBeGreaterThan(0);
    },
    1_200_000,
  );
});
