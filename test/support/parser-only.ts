/** A setup file: no event is found by its bytes, so that what holds of streams is shown of the parser alone. */
import { plainEvents } from "../../src/sse/plain-events.ts";

plainEvents.areOn = false;
