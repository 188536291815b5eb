/** Servers of vLLM's and SGLang's shape, broken behind every token of answers whose seams are hard to tell: nothing wrong is ever told. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWERS, piecesOf } from "../support/scripted-model.ts";
import { MODES } from "../support/serving-shapes.ts";
import { flawsOf, type ShapeRig, startShapeRig } from "../support/shape-rig.ts";

/** How short a tail may be set, and how often a leg may break again. */
const SETTINGS: readonly Record<string, unknown>[] = [
  { resume: { minChars: 24 } },
  { resume: { minChars: 8, tail: 8 } },
  { resume: { minChars: 24, maxAttempts: 3, proof: "answer" } },
];

describe.each(["vllm", "sglang"] as const)("%s", (shape) => {
  const rigs: ShapeRig[] = [];
  beforeAll(async () => {
    for (const settings of SETTINGS) rigs.push(await startShapeRig(shape, settings));
  });
  afterAll(async () => {
    for (const rig of rigs) await rig.close();
  });

  describe.each(MODES)("%s", (mode) => {
    test.each(Object.entries(ANSWERS))(
      "%s",
      async (question, answer) => {
        for (const [index, rig] of rigs.entries()) {
          for (let place = 2; place <= piecesOf(answer).length; place += index === 0 ? 1 : 2) {
            for (const temperature of [0, 0.8]) {
              const asked = { question, mode, temperature, place };
              const heard = await rig.hear(asked);
              const goesOn = index === 0;
              const flaws = flawsOf(heard, asked).filter((flaw) => goesOn || !flaw.startsWith("it was not gone on"));
              expect(flaws, `settings ${index}, at ${temperature}, broken behind ${place}: ${heard.rule}`).toEqual([]);
            }
          }
        }
      },
      120_000,
    );
  });

  test.each(["honours", "trims"] as const)("%s: what is counted is the prompt once, and the tokens of both", async (mode) => {
    const [rig] = rigs as [ShapeRig];
    const question = "code";
    const fields = { stream_options: { include_usage: true, continuous_usage_stats: true } };
    const all = piecesOf(ANSWERS[question] ?? "").length;
    for (let place = 12; place < all; place += 5) {
      const heard = await rig.hear({ question, mode, temperature: 0, place, fields });
      if (!heard.done) continue;
      expect(heard.usage).toMatchObject({ prompt_tokens: Math.ceil(question.length / 4), completion_tokens: all });
    }
  });
});
