"""A coverage-guided fuzzer on one of the targets: python -m faults.fuzz TARGET SEEDS SECONDS.

Needs atheris (`pip install 'rag-ask[fuzz]'`). New inputs that reach new code are written into a
temporary folder and those that a small corpus needs merged into SEEDS; what fails is written to
`crash-…` in the current folder. Prints the inputs tried as JSON.
"""

from __future__ import annotations

import json
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

LONGEST = 4096
SLOWEST = 10  # seconds for one input
MEMORY_MB = 4096
MOST_SEEDS = 50  # beside those with a name of their own


def child(target: str, arguments: list[str]) -> None:
    """Be the fuzzer."""
    import atheris

    with atheris.instrument_imports(include=["rag", "pypdf"]):
        from faults.targets import TARGETS
    with tempfile.TemporaryDirectory() as folder:
        # To merge, the fuzzer calls itself by its name through a shell.
        itself = Path(folder) / "fuzzer"
        command = shlex.join([sys.executable, "-m", "faults.fuzz", "--child", target])
        itself.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        itself.chmod(0o700)
        atheris.Setup([str(itself), *arguments], TARGETS[target])
        atheris.Fuzz()


def main(target: str, seeds: Path, seconds: int) -> dict[str, object]:
    """Fuzz for so many seconds of the processor; return what was tried."""
    seeds.mkdir(parents=True, exist_ok=True)
    runs = features = failed = 0
    with tempfile.TemporaryDirectory() as work:
        common = [f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEMORY_MB}"]
        while (left := seconds - spent()) > 0 and not failed:
            # Beside other work a second of the clock is less of the processor.
            ran = fuzzer(
                target, [*common, f"-max_total_time={max(5, round(left))}", work, str(seeds)]
            )
            tried = re.findall(r"^#(\d+)\s+\S+.*?ft: (\d+)", ran.stderr, re.MULTILINE)
            more, features = map(int, tried[-1]) if tried else (0, features)
            runs += more
            if ran.returncode:
                failed = 1
                sys.stderr.write(ran.stderr[-4000:])
        minutes = round(spent() / 60, 1)
        fuzzer(target, [*common, "-merge=1", str(seeds), work])
    found = sorted(path for path in seeds.iterdir() if re.fullmatch("[0-9a-f]{40}", path.name))
    for path in found[MOST_SEEDS:]:  # names are digests: what is left is a fair sample
        path.unlink()
    kept = sum(1 for _ in seeds.iterdir())
    return {
        "minutes": minutes, "tried": runs, "features": features, "seeds": kept, "failed": failed
    }  # fmt: skip


def spent() -> float:
    """Return the seconds of the processor that the fuzzers took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fuzzer(target: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a process of its own, which it ends."""
    command = [sys.executable, "-m", "faults.fuzz", "--child", target, *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], sys.argv[3:])
    else:
        print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
