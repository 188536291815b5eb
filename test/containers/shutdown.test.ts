/** Perennial itself is stopped or killed in its container, in mid-stream. What the client is told. */
import { expect, test } from "vitest";
import { send } from "../support/client.ts";
import { chatAndBreak, isPart, openStage, WHOLE } from "./stage.ts";

test("after SIGTERM a stream that outlives drain.timeout is a part and draining, and the container ends with 0", async () => {
  await using stage = await openStage({ drain: { timeout: "1s" } });
  const { perennial } = stage;
  const { seen, stream, ms } = await chatAndBreak(perennial.baseUrl, 200, () => perennial.kill("SIGTERM"));
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject({ errorCode: "draining", done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);
  expect(ms).toBeGreaterThan(900);
  expect(ms).toBeLessThan(5_000);
  expect(await perennial.exited()).toBe(0);
});

test("docker stop lets a short stream finish whole, takes no new request, and the container ends with 0", async () => {
  await using stage = await openStage({ drain: { timeout: "20s" } });
  const { perennial } = stage;
  let refusal: Promise<unknown> | undefined;
  const { seen, stream } = await chatAndBreak(perennial.baseUrl, 100, () => {
    const stopped = perennial.stop(30);
    refusal = new Promise((resolve) => setTimeout(resolve, 500))
      .then(() => send(`${perennial.baseUrl}/models`))
      .catch(() => "refused");
    return stopped;
  });
  expect(seen).toMatchObject({ status: 200, end: "clean" });
  expect(stream).toMatchObject(WHOLE);
  expect(await refusal).toBe("refused");
  expect(await perennial.exited()).toBe(0);
});

test("Perennial killed with -9 in mid-stream is a cut for the client, never a clean end", async () => {
  await using stage = await openStage();
  const { perennial } = stage;
  const { seen, stream } = await chatAndBreak(perennial.baseUrl, 100, () => perennial.kill("SIGKILL"));
  expect(seen.end).toBe("cut");
  expect(stream).toMatchObject({ errorCode: undefined, done: false, finish: null });
  expect(stream.text).toSatisfy(isPart);
  expect(await perennial.exited()).toBe(137);
});
