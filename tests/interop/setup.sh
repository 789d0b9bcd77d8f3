#!/bin/sh
# usage: setup.sh FOLDER   makes FOLDER/bin/python with the clients of requirements.txt; says why when it cannot
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
want=$(cksum <"$here/requirements.txt")
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
[ "$(cat "$folder/.complete" 2>/dev/null)" = "$want" ] && exit 0
rm -rf "$folder"
command -v python3 >/dev/null || { echo "python3 is missing"; exit 1; }
python3 -m venv "$folder" >"$folder.log" 2>&1 || { echo "python3 -m venv failed (python3-venv missing?)"; exit 1; }
"$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 15 \
  -r "$here/requirements.txt" >"$folder.log" 2>&1 || { tail -3 "$folder.log"; exit 1; }
printf %s "$want" >"$folder/.complete"
