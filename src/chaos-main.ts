#!/usr/bin/env node
/** `perennial-chaos`: the same as `perennial chaos`, for those who want the failing server alone. */
process.argv.splice(2, 0, "chaos");
void import("./main.ts");
