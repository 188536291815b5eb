/** The id of what an answer has made, wherever it is said; nothing of the answer changes on its way. */
import { expect, test } from "vitest";
import { lookInReply, watchingBody, watchingResponse } from "./made-by.ts";

const JSON_TYPE = { "content-type": "application/json" };

test("of a streamed response it is in its first events, and told once", () => {
  const made: string[] = [];
  const passed: unknown[] = [];
  let finished = 0;
  const next = { push: (...args: unknown[]) => void passed.push(args), flush: () => false, finish: () => void finished++ };
  const sink = watchingResponse({ openStream: () => next } as never, { onMade: (id) => made.push(id) }).openStream(
    {},
    undefined as never,
  );
  const events = ["x", '{"response":7}', '{"response":{"id":1}}', '{"response":{"id":"r1"}}', '{"response":{"id":"r2"}}'];
  for (const data of events) sink.push({ event: "e", data } as never, "content" as never);
  sink.finish();
  expect([made, passed.length, passed[0], sink.flush(), finished]).toEqual([
    ["r1"],
    5,
    [{ event: "e", data: "x" }, "content"],
    false,
    1,
  ]);
});

test.each<[status: number, headers: Record<string, string>, chunks: string[], made: string[]]>([
  [200, JSON_TYPE, ['{"id":', '"f1"}'], ["f1"]],
  [299, { "content-type": "application/vnd.x+json; charset=utf-8" }, ['{"id":"f1"}'], ["f1"]],
  [300, JSON_TYPE, ['{"id":"f1"}'], []],
  [200, { ...JSON_TYPE, "content-encoding": "gzip" }, ['{"id":"f1"}'], []],
  [200, { "content-type": "text/jsonish" }, ['{"id":"f1"}'], []],
  [200, {}, ['{"id":"f1"}'], []],
  [200, JSON_TYPE, ['{"id":7}'], []],
  [200, JSON_TYPE, ["[]"], []],
  [200, JSON_TYPE, [`{"id":"f1"}${" ".repeat(64 * 1_024 - 11)}`], ["f1"]],
  [200, JSON_TYPE, [`{"id":"f1"}${" ".repeat(64 * 1_024 - 11)}`, " "], []],
])("of a body that is passed through: %s %o %#", (status, headers, chunks, expected) => {
  const made: string[] = [];
  const passed: unknown[] = [];
  const through = { openBody: (...args: unknown[]) => void passed.push(args), write: (chunk: Buffer) => passed.push(chunk) > 2 };
  const { output, look } = watchingBody(through as never, { onMade: (id) => made.push(id) });
  output.openBody(status, headers);
  expect(chunks.map((chunk) => output.write(Buffer.from(chunk)))).toEqual(chunks.map((_chunk, index) => index > 0));
  look();
  expect([made, passed[0]]).toEqual([expected, [status, headers]]);
});

test("of a whole reply it is in its body", () => {
  const made: string[] = [];
  for (const [kind, body] of [
    ["reply", '{"id":"b1"}'],
    ["reply", '{"id":1}'],
    ["reply", "x"],
    ["piped", '{"id":"b2"}'],
  ])
    lookInReply({ kind, body: Buffer.from(String(body)) } as never, { onMade: (id) => made.push(id) });
  expect(made).toEqual(["b1"]);
});
