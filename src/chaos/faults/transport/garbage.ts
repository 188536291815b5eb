/** Something that is not HTTP: another protocol listens on the port. */
import type { Fault } from "../../fault.ts";
import { fin, raw } from "../../script.ts";

const BANNER = "SSH-2.0-OpenSSH_9.6\r\n\u0000\u0001\u0002 this is not HTTP\r\n";

export const garbage: Fault = {
  name: "garbage",
  summary: "bytes that are not HTTP, then closes",
  stream: () => [raw(BANNER), fin],
  answer: () => [raw(BANNER), fin],
};
