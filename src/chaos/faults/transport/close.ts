/** A server that reads the request and closes the connection without a byte, as a worker does that was killed. */
import type { Fault } from "../../fault.ts";
import { fin } from "../../script.ts";

export const close: Fault = {
  name: "close",
  random: true,
  summary: "closes the connection before the headers",
  stream: () => [fin],
  answer: () => [fin],
};
