"""The same with pytest, from another language: the server runs beside the tests, and its faults are asked for by HTTP."""
import json
import os
import shlex
import subprocess
import urllib.error
import urllib.request

import pytest

COMMAND = os.environ.get("PERENNIAL_CHAOS", "npx --no perennial-chaos")


@pytest.fixture(scope="session")
def chaos():
    server = subprocess.Popen([*shlex.split(COMMAND), "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    yield json.loads(server.stdout.readline())["url"]
    server.terminate()
    server.wait()


def ask(url, fault):
    body = {"model": f"chaos/{fault}", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


def test_a_whole_answer(chaos):
    assert ask(chaos, "ok").endswith("data: [DONE]\n\n")


def test_an_answer_that_ends_too_early_looks_like_a_whole_one(chaos):
    assert "finish_reason\": \"stop\"" not in ask(chaos, "eof:3")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_statuses(chaos, status):
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(chaos, str(status))
    assert raised.value.code == status
