#!/bin/sh
# usage: run.sh VENV [SCRIPT ARGUMENT...]   runs a test of a real client, or only installs the clients; 77 (skipped)
# where they cannot be installed, which is a failure where CI=true
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$1
shift
if ! reason=$("$here/setup.sh" "$venv"); then
  echo "the client cannot be installed here: $reason"
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
[ $# -eq 0 ] && exit 0
script=$1
shift
exec "$venv/bin/python" "$here/$script" "$@"
