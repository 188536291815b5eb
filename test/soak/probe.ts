/** Loaded into Perennial before its own code (`--import`): tells over the IPC channel what the process holds. */
import { readHoldings } from "./holdings.ts";
import { answerParent } from "./messages.ts";

answerParent(readHoldings);
// The channel must not keep Perennial alive when it wants to end.
process.channel?.unref();
