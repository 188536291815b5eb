import { expect, test } from "vitest";
import { LinkedList } from "./linked-list.ts";

test("what is under way is walked in the order in which it came, whoever leaves first", () => {
  const list = new LinkedList<string>();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((value) => list.add(value));
  const told = (): string => `${list.values().join("")} ${list.size} ${list.first}`;
  expect(told()).toBe("abcd 4 a");
  b?.remove();
  expect(told()).toBe("acd 3 a");
  a?.remove();
  a?.remove();
  expect(told()).toBe("cd 2 c");
  list.add("e");
  d?.remove();
  expect(told()).toBe("ce 2 c");
  // Leaving while they are walked harms nobody.
  for (const value of list.values()) if (value === "c") c?.remove();
  expect(told()).toBe("e 1 e");
});
