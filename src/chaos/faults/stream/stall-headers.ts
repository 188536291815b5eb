/** A request that is read and never answered. */
import type { Fault } from "../../fault.ts";
import { hang } from "../../script.ts";

export const stallHeaders: Fault = {
  name: "stall-headers",
  summary: "nothing at all, not even headers",
  stream: () => [hang],
  answer: () => [hang],
};
