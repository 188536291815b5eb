import { expect, test } from "vitest";
import { type Candidate, createUpstreamShared } from "../balance/candidate.ts";
import { Failure } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { PastAttempt } from "./attempt-policy.ts";
import { chooseNext } from "./failover.ts";

const BREAKER = { failures: 1_000, windowMs: 60_000, restMs: 1_000, alone: false };
const candidateOf = (name: string): Candidate => ({
  upstream: { name } as Upstream,
  share: { priority: 0, weight: 1 },
  model: undefined,
  shared: createUpstreamShared(undefined),
  policy: {} as Candidate["policy"],
});
const failedAt = (candidate: Candidate): PastAttempt => ({
  attempt: { number: 1, upstream: "", startedAt: 0, durationMs: 0, failure: undefined, status: undefined },
  plan: { candidate, ask: "as-asked", delayMs: 0, acceptEmpty: false },
  failure: new Failure("empty_stream", "nothing came"),
});

test("of two that have failed on a request as often, the one is asked that fails less often on others", () => {
  const [often, seldom] = [candidateOf("often"), candidateOf("seldom")];
  const choose = (history: readonly PastAttempt[]) =>
    chooseNext({ remaining: [often, seldom], history, part: "m", random: 0, waitOf: () => 0 })?.candidate.upstream.name;
  const history = [failedAt(seldom), failedAt(often)];
  expect(choose(history), "nothing is known: the order of the configuration").toBe("often");
  for (let count = 0; count < 20; count++) {
    often.shared.breaker.failed("m", BREAKER);
    if (count % 10 === 0) seldom.shared.breaker.failed("m", BREAKER);
    else seldom.shared.breaker.succeeded("m");
  }
  expect(choose(history)).toBe("seldom");
  expect(choose([...history, failedAt(seldom)]), "asked less often on this request").toBe("often");
  for (let count = 0; count < 60; count++) often.shared.breaker.succeeded("m");
  expect(choose(history), "it is well again").toBe("often");
});
