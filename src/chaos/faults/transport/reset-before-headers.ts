/** A TCP reset instead of a reply. */
import type { Fault } from "../../fault.ts";
import { reset } from "../../script.ts";

export const resetBeforeHeaders: Fault = {
  name: "reset-before-headers",
  summary: "TCP reset before the headers",
  stream: () => [reset],
  answer: () => [reset],
};
