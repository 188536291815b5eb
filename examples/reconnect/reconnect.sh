#!/bin/sh
# Prints the events of a streamed answer, and comes back for the rest when the connection breaks: reconnect.sh BASE_URL REQUEST
set -eu
seen=$(mktemp) head=$(mktemp)
trap 'rm -f "$seen" "$head"' EXIT
curl -sSN -D "$head" "$1/chat/completions" -H 'content-type: application/json' -H 'x-perennial-replay: 1' -d "$2" | tee "$seen" || true
stream=$(sed -n 's/^x-perennial-stream: *\([0-9a-f]*\).*/\1/p' "$head")
[ -n "$stream" ]
for _ in 1 2 3 4 5 6 7 8 9 10; do
  # Only events that came whole, each of which ends with an empty line: the number of the last of them.
  last=$(awk -F: '/^id: / { n = $3 } /^$/ { whole = n } END { print whole + 0 }' "$seen")
  grep -q -e '^data: \[DONE\]$' -e '^data: {"error":' "$seen" && exit
  sleep 1
  curl -sSN --fail "$1/streams/$stream?after=$last" | tee -a "$seen" || true
done
exit 1
