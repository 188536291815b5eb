/** What can happen to a valid stream on its way, one kind a function: bytes lost, doubled, changed, added; events lost or moved. */
import type { Random } from "./random.ts";

export interface Mutated {
  readonly bytes: Buffer;
  /** In words; undefined when there was nothing to do it to. */
  readonly done: string | undefined;
}

type Mutation = (bytes: Buffer, random: Random) => Mutated;

/** What is likely to matter: line ends, fields, ends of streams, errors, bytes that are no UTF-8. */
const PIECES: readonly Buffer[] = [
  ...'\n|\r|\r\n|\n\n|\0|"|}|{|,|:| |\ufeff|data: |data:|data|event: x\n|id: 7\n|retry: 5\n|: note\n|:\n'.split("|"),
  "data: [DONE]\n\n",
  "\n\ndata: [DONE]\n\n",
  'data: {"error":{"message":"no","code":500}}\n\n',
  "event: ping\ndata: {}\n\n",
  "data:\n\n",
  "data: null\n\n",
  "data: []\n\n",
  "error: no\n\n",
  "Internal Server Error\n",
]
  .map((text) => Buffer.from(text))
  .concat([Buffer.from([0xff]), Buffer.from([0xe6, 0xb0]), Buffer.from([0xc0, 0x80]), Buffer.from([0xed, 0xa0, 0x80])]);

function splice(bytes: Buffer, at: number, remove: number, ...insert: Buffer[]): Buffer {
  return Buffer.concat([bytes.subarray(0, at), ...insert, bytes.subarray(at + remove)]);
}

/** Starts of lines, the first included. */
function lineStarts(bytes: Buffer): number[] {
  const starts = [0];
  for (let i = 0; i < bytes.length - 1; i++) if (bytes[i] === 0x0a) starts.push(i + 1);
  return starts;
}

function eventsOf(bytes: Buffer): Buffer[] {
  const text = bytes.toString("latin1");
  return text.split(/(?<=\n\n)/).map((event) => Buffer.from(event, "latin1"));
}

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  delete(bytes, random) {
    const at = random.int(0, bytes.length - 1);
    const length = random.pick([1, 1, 2, random.int(1, 20), random.int(1, 200)]);
    return { bytes: splice(bytes, at, length), done: `${length} bytes lost at ${at}` };
  },
  duplicate(bytes, random) {
    const at = random.int(0, bytes.length - 1);
    const piece = bytes.subarray(at, at + random.pick([1, 2, random.int(1, 20), random.int(1, 200)]));
    return { bytes: splice(bytes, at, 0, piece), done: `${piece.length} bytes doubled at ${at}` };
  },
  flip(bytes, random) {
    const at = random.int(0, bytes.length - 1);
    const flipped = Buffer.from([(bytes[at] ?? 0) ^ (1 << random.int(0, 7))]);
    return { bytes: splice(bytes, at, 1, flipped), done: `a bit flipped at ${at}` };
  },
  insert(bytes, random) {
    const at = random.int(0, bytes.length);
    const piece = random.chance(0.8) ? random.pick(PIECES) : Buffer.from([random.int(0, 255)]);
    return { bytes: splice(bytes, at, 0, piece), done: `${JSON.stringify(piece.toString("latin1"))} inserted at ${at}` };
  },
  "insert at a line start"(bytes, random) {
    const at = random.pick(lineStarts(bytes));
    const piece = random.pick(PIECES);
    return {
      bytes: splice(bytes, at, 0, piece),
      done: `${JSON.stringify(piece.toString("latin1"))} inserted at the line at ${at}`,
    };
  },
  "lose a line's start"(bytes, random) {
    const at = random.pick(lineStarts(bytes));
    const length = random.int(1, 12);
    return { bytes: splice(bytes, at, length), done: `${length} bytes lost at the line at ${at}` };
  },
  "lose a line end"(bytes, random) {
    const at = random.pick(lineStarts(bytes)) - 1;
    if (at < 0) return { bytes, done: undefined };
    return { bytes: splice(bytes, at, 1), done: `a line end lost at ${at}` };
  },
  "events lost, doubled, moved"(bytes, random) {
    const events = eventsOf(bytes);
    const at = random.int(0, events.length - 1);
    const [event = Buffer.alloc(0)] = events.splice(at, 1);
    const how = random.pick(["lost", "doubled", "moved"]);
    if (how === "doubled") events.splice(at, 0, event, event);
    if (how === "moved") events.splice(random.int(0, events.length), 0, event);
    return { bytes: Buffer.concat(events), done: `event ${at} ${how}` };
  },
  "line ends"(bytes, random) {
    const end = random.pick(["\r\n", "\r"]);
    const text = bytes.toString("latin1").replaceAll("\n", end);
    return { bytes: Buffer.from(text, "latin1"), done: `lines end with ${JSON.stringify(end)}` };
  },
  cut(bytes, random) {
    const at = random.int(0, bytes.length);
    return { bytes: bytes.subarray(0, at), done: `cut at ${at}` };
  },
};

const NAMES = Object.keys(MUTATIONS);

export function mutate(bytes: Buffer, random: Random): Mutated {
  if (bytes.length === 0) return { bytes, done: undefined };
  const mutation = MUTATIONS[random.pick(NAMES)] as Mutation;
  return mutation(bytes, random);
}
