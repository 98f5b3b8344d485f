"""The interactive session: a question in, an answer out, until `:quit`.

    loop         the loop: Ctrl-C, failures, follow-ups
    commands     what begins with a colon
    showing      sources, passages and reasons on the terminal; `ask` uses it, too
    saving       a conversation as a file; likewise
    completing   what Tab offers
    prompting    the line editor with its history, on prompt_toolkit

Only `prompting` knows prompt_toolkit, and it is imported where a session begins.
"""

from rag.repl.loop import Repl

__all__ = ["Repl"]
