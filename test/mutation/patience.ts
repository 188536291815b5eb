/** How long a test may take: as long as a busy machine needs while it is seen which test reaches what; less once a mutant may hang it. */
import { inject, vi } from "vitest";

const PATIENT_MS = 90_000;
const HANGS_MS = 20_000;

// What StrykerJS's runner says of the run.
const isMutant = inject("mode" as never) === "mutant";
vi.setConfig({ testTimeout: isMutant ? HANGS_MS : PATIENT_MS, hookTimeout: isMutant ? HANGS_MS : PATIENT_MS });
