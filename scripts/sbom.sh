#!/bin/sh
# Writes docs/sbom.json and docs/licences.md: what the lock pins, and the licences of what is
# installed of it. No index is named: digests say what the files are, wherever they come from.
# Arguments: the Python that has it installed, the tools' bin folder, the lock.
set -eu
python=$1 tools=$2 lock=$3
"$tools/cyclonedx-py" requirements --output-reproducible --of JSON -i index \
    --pyproject pyproject.toml \
    -o docs/sbom.json "$lock"
# The tool tells where it came from itself, too.
"$python" - docs/sbom.json <<'PYTHON'
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
told = json.loads(file.read_text(encoding="utf-8"))
told["metadata"].pop("tools", None)
file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
PYTHON
names=$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' "$lock")
{
    echo "# Licences of what is installed"
    echo
    echo "rag-ask itself: Apache-2.0; its trained weights CC BY-SA 4.0. Made by \`make sbom\` from the"
    echo "packages' own statements (pip-licenses); the models' licences stand in README.md."
    echo
    # shellcheck disable=SC2086 (the names are words)
    "$tools/pip-licenses" --python "$python" --from=mixed --format=markdown --order=name \
        --packages $names
} > docs/licences.md
