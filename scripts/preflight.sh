#!/bin/sh
# Says in one line what a fresh machine lacks, before anything is downloaded.
# Usage: preflight.sh VENV    (PYTHON names the interpreter)
set -u
venv=$1
python=${PYTHON:-python3}

fail() {
    echo "Error: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "there is no $python. Run: sudo apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old, 3.11 is needed. Run: make PYTHON=python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module is missing. Run: sudo apt-get install python3-venv"

# Everything below is needed only where the packages are not installed yet.
"$venv/bin/python" -c 'import llama_cpp' 2>/dev/null && exit 0

if ! command -v "${CXX:-c++}" >/dev/null 2>&1 || ! command -v "${CC:-cc}" >/dev/null 2>&1; then
    fail "there is no C++ compiler, and llama.cpp is compiled here. Run: sudo apt-get install build-essential"
fi

# df reports 1,024-byte blocks with -P; the environment takes about 2 GB, the build 1 GB.
needs() {
    free=$(df -Pk "$2" | awk 'NR == 2 { print int($4 / 1000000) }')
    [ "$free" -ge "$1" ] ||
        fail "$2 has $free GB free, $1 GB are needed for $3. Free some space and run make again"
}
needs "${RAG_NEEDS_GB:-4}" . "the packages"
needs "${RAG_NEEDS_GB:-4}" "${HOME:-/}" "the models"
