/**
 * A program: prints how many bytes each request leaves behind when it is over, with what its client keeps of it.
 *   node --expose-gc test/support/kept-of-requests.ts
 */
import { chat } from "./client.ts";
import { startPerennial } from "./perennial.ts";
import { chatEvents, frame, startRawUpstream } from "./raw-upstream.ts";

const AT_ONCE = 20;
const ROUNDS = 10;

const { gc: collect } = globalThis;
if (collect === undefined) throw new Error("start it with --expose-gc");
const answer = frame("chunked", chatEvents(["Hello"]));
const upstream = await startRawUpstream((socket) => socket.write(answer));
const perennial = await startPerennial(upstream.baseUrl);
const crowd = async (): Promise<void> => void (await Promise.all(Array.from({ length: AT_ONCE }, () => chat(perennial.baseUrl))));

await crowd();
await crowd();
// What is still there is old from now on: whatever leads from one request to the next has begun to do so.
collect();
const before = process.memoryUsage().heapUsed;
for (let round = 0; round < ROUNDS; round++) await crowd();
collect({ type: "minor" });
collect({ type: "minor" });
const kept = (process.memoryUsage().heapUsed - before) / (AT_ONCE * ROUNDS);
process.stdout.write(`${Math.round(kept)}\n`);
await perennial.close();
await upstream.close();
