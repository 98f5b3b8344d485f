"""Faults on purpose, counted: what the tests try a few of, and `benchmarks/reliability.py` many.

Each module is a program that prints what it tried as one JSON object:

    python -m faults.kills FOLDER COUNT SEED      an indexer killed at random moments
    python -m faults.disk FOLDER COUNT SEED       full and read-only disks (in a mount of its own)
    python -m faults.changing FOLDER COUNT SEED   documents that change while they are read
    python -m faults.flips FOLDER COUNT SEED      changed bytes in an index and in what is kept
    python -m faults.readers FOLDER COUNT SEED    readers while an index is written

The embedder is the tests' fake; files, database, vectors and locks are real. FOLDER is made.
"""

import os

# A process that never started a thread can be forked at any time.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
