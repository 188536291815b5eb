/** The group as a worker has it: all that it is asked goes to the primary. */
import type { Taken } from "../balance/rate/budget.ts";
import type { WorkerAnswers, WorkerGroup } from "../runtime/worker-group.ts";
import type { PrimaryCalls } from "./calls.ts";
import type { Channel } from "./channel.ts";

export interface JoinedGroup extends WorkerGroup {
  /** What this worker says of itself; undefined before it can. */
  readonly answers: WorkerAnswers | undefined;
}

/** Where the primary is gone, its workers end: what still waits for it is never answered, and served no more. */
export function joinGroup(primary: Channel<PrimaryCalls>): JoinedGroup {
  let answers: (() => WorkerAnswers) | undefined;
  const end = (taken: number): void => primary.tell("settle", { taken, isOver: true });
  return {
    get answers() {
      return answers?.();
    },
    answerWith(given) {
      answers = given;
    },
    places: {
      async take(places) {
        const answer = await primary.call(
          "take",
          places.map(({ name, limit }) => ({ name, limit, perMs: undefined, amount: 1 })),
        );
        if ("waitsMs" in answer) return answer.waitsMs.findIndex((waitMs) => waitMs > 0);
        return () => answer.taken.forEach(end);
      },
    },
    rates: {
      isUp: true,
      async take(charges) {
        const answer = await primary.call(
          "take",
          charges.map(({ scope, name, model, what, perMs, limit, amount }) => {
            // A limit with another span is another one.
            return { name: JSON.stringify([scope, name, model ?? null, what, perMs ?? null]), limit, perMs, amount };
          }),
        );
        if ("waitsMs" in answer) return answer;
        return {
          taken: answer.taken.map(
            (taken): Taken => ({
              correct: (amount) => primary.tell("settle", { taken, amount }),
              end: () => end(taken),
            }),
          ),
        };
      },
    },
    makers: {
      remember: (name, upstream) => primary.tell("remember", { name, upstream }),
      find: (names) => primary.call("findMakers", names),
    },
    readMetrics: () => primary.call("readMetrics", undefined),
    dashboardParts: () => primary.call("dashboardParts", undefined),
    findStream: (id) => primary.call("findStream", id),
    isReady: () => primary.call("isReady", undefined),
    tellOutcomes: (counts) => primary.tell("tellOutcomes", counts),
  };
}
