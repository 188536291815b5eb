/** The n-th case of a seed: a valid stream, what befalls it, and how it is sent. */
import { type Case, DIALECTS, type End, type Framing } from "./case.ts";
import { mutate } from "./mutations.ts";
import { createRandom } from "./random.ts";
import { validStream } from "./valid-streams.ts";

export function makeCase(seed: number, number: number, only?: Case["dialect"]): Case {
  const random = createRandom(seed, number);
  const drawn = random.pick(DIALECTS);
  const dialect = only ?? drawn;
  const takesChoices = dialect === "chat" || dialect === "completions";
  const choices = takesChoices && random.chance(0.15) ? 2 : 1;
  let bytes: Buffer = Buffer.from(validStream(dialect, choices, random).join(""));
  const done: string[] = [];
  // Some are left as they are: a valid stream must arrive whole, however it is split.
  for (let left = random.pick([0, 1, 1, 1, 1, 2, 2, 3]); left > 0; left--) {
    const mutated = mutate(bytes, random);
    bytes = mutated.bytes;
    if (mutated.done !== undefined) done.push(mutated.done);
  }
  const framing = random.pick<Framing>(["chunked", "chunked", "chunked", "content-length", "close"]);
  const ends: End[] = ["clean", "clean", "clean", "clean", "reset", "cut", "cut"];
  // Where the end of the connection is the end of the body, a cut is a clean end.
  const end = random.pick(framing === "close" ? ends.slice(0, 5) : ends);
  const splits = new Set(
    Array.from({ length: random.pick([0, 0, 1, 3, 8]) }, () => random.int(1, Math.max(1, bytes.length - 1))),
  );
  return { dialect, choices, body: bytes, splits: [...splits].sort((a, b) => a - b), framing, end, done };
}
