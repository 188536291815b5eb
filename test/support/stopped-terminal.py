"""A program in a terminal that Ctrl-S stops once it listens. stdout: its pid and where it listens; then, when it is over, its exit code."""

import os
import pty
import re
import subprocess
import sys

terminal, inner = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
seen = b""
while (listening := re.search(rb"listening on (http://[^\s,]+)", seen)) is None:
    seen += os.read(terminal, 65536)
os.write(terminal, b"\x13")
print(child.pid, listening.group(1).decode(), flush=True)
print(child.wait(), flush=True)
