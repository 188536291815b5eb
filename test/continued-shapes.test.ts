/** Answers that break at servers of vLLM's and SGLang's shape: they go on where the server does, and nothing wrong is ever told where it does not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWERS, piecesOf } from "./support/scripted-model.ts";
import { MODES, type Shape } from "./support/serving-shapes.ts";
import { flawsOf, type ShapeRig, startShapeRig } from "./support/shape-rig.ts";

/** Each answer here breaks in its first half, and in its second; test/exhaustive has every place. */
const HERE = ["a song whose first verse comes again", "laughter"];

describe.each(["vllm", "sglang"] as const)("%s", (shape: Shape) => {
  let rig: ShapeRig;
  beforeAll(async () => {
    rig = await startShapeRig(shape);
  });
  afterAll(async () => {
    await rig.close();
  });

  test.each(MODES)("%s: what is told is the answer, or a beginning of it and an error", async (mode) => {
    for (const question of HERE) {
      const { length } = piecesOf(ANSWERS[question] ?? "");
      for (const temperature of [0, 0.8]) {
        for (const place of [Math.floor(length * 0.62), Math.floor(length * 0.8)]) {
          const asked = { question, mode, temperature, place };
          const heard = await rig.hear(asked);
          expect(flawsOf(heard, asked), `${question}, at ${temperature}, broken at ${place}: ${heard.text}`).toEqual([]);
        }
      }
    }
  });
});
