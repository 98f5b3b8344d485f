"""The commands `ask` and `rag`: parse, call, display, and nothing else.

Importing this package loads no model library; `ask --help` answers at once.
"""

from rag.cli.ask import ask_main
from rag.cli.rag import rag_main

__all__ = ["ask_main", "rag_main"]
