"""What generation costs beside bare llama.cpp, and what its options buy.

    python benchmarks/generation.py XQUAD PART… [--pairs 5] [--answers 20]      parts:
    ratio threads batches attention weights lookup memory

`ratio` holds the program's generator against a loop that only decodes and takes the largest
logit: same file, same threads, same prompt, in turns. `threads`, `batches`, `attention` and
`weights` hold options of llama.cpp against what is shipped, in turns (--pairs), and compare the
answers to some questions (--answers); with `weights` llama.cpp may crash (rag/llamacpp.py).
`lookup` guesses tokens ahead from the prompt; `memory` is the peak of a whole `ask` that needs
the generator. Prints Markdown: medians of paired ratios, with the lowest and the highest.
Questions are those of xquad.en.train.json, passages their paragraphs. Ratios compare; times
do not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llama_cpp import llama_cpp as library

from rag.generation import LlamaGenerator, Usage
from rag.models import (
    ENCODER,
    WORDS,
    ModelFile,
    SilentProgress,
    resolve_embedder,
    resolve_generator,
)
from rag.processor import physical_cores
from rag.prompts import REFUSAL, Message, as_data, load_for
from rag.settings import Settings

PARTS = ("ratio", "threads", "batches", "attention", "weights", "lookup", "memory")
REPETITIONS = 5
WRITTEN = 48
# A chat whose answer is long: it gives the speed of writing.
COUNTING: list[Message] = [
    {"role": "user", "content": "Write the numbers from one to a hundred in words, with commas."}
]
# Options of the context, beside those that are shipped; the first row is the noise.
THREADS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "1 thread": {"n_threads": 1, "n_threads_batch": 1},
    "4 threads": {"n_threads": 4, "n_threads_batch": 4},
}
BATCHES: dict[str, dict[str, Any]] = {
    "batches of 64": {"n_batch": 64, "n_ubatch": 64},
    "batches of 128": {"n_batch": 128, "n_ubatch": 128},
    "batches of 256": {"n_batch": 256, "n_ubatch": 256},
    "batches of 1,024": {"n_batch": 1024, "n_ubatch": 1024},
}
EIGHT_BITS = library.GGML_TYPE_Q8_0
ATTENTION: dict[str, dict[str, Any]] = {
    "without flash attention": {"flash_attn_type": library.LLAMA_FLASH_ATTN_TYPE_DISABLED},
    "flash attention: auto": {"flash_attn_type": library.LLAMA_FLASH_ATTN_TYPE_AUTO},
    "keys and values in q8_0": {"type_k": EIGHT_BITS, "type_v": EIGHT_BITS},
    "keys in q8_0": {"type_k": EIGHT_BITS},
}
WEIGHTS: dict[str, dict[str, Any]] = {
    "not mapped": {"use_mmap": False},
    "repacked (use_extra_bufts)": {"use_extra_bufts": True},
}
# Guessed ahead: length of what must agree, tokens taken.
LOOKUPS = ((1, 3), (2, 3), (2, 8), (3, 8))


class Weights:
    """A GGUF file as llama.cpp loads it."""

    def __init__(self, path: str, **options: Any) -> None:
        parameters = library.llama_model_default_params()
        parameters.use_extra_bufts = False
        for name, value in options.items():
            setattr(parameters, name, value)
        self.model = library.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.vocabulary = library.llama_model_get_vocab(self.model)
        self.size = int(library.llama_vocab_n_tokens(self.vocabulary))

    def close(self) -> None:
        """Give the memory back."""
        library.llama_model_free(self.model)


class Bare:
    """llama.cpp with as little around it as Python allows."""

    def __init__(self, weights: Weights, context: int, **options: Any) -> None:
        parameters = library.llama_context_default_params()
        shipped = {
            "n_ctx": context,
            "n_batch": 512,
            "n_ubatch": 512,
            "n_threads": physical_cores(),
            "n_threads_batch": physical_cores(),
            "flash_attn_type": library.LLAMA_FLASH_ATTN_TYPE_ENABLED,
        }
        for name, value in {**shipped, **options}.items():
            setattr(parameters, name, value)
        self._weights, self._most = weights, int(parameters.n_batch)
        self._context = library.llama_init_from_model(weights.model, parameters)
        if not self._context:
            raise SystemExit(f"llama.cpp makes no context with {options}")
        self._one = (library.llama_token * 1)()
        self._batch = library.llama_batch_init(64, 0, 1)

    def read(self, tokens: Sequence[int], held: int = 0) -> int:
        """Read a prompt, of which so many tokens are held, and return the next one."""
        memory = library.llama_get_memory(self._context)
        library.llama_memory_seq_rm(memory, 0, held, -1)
        for start in range(held, len(tokens), self._most):
            part = tokens[start : start + self._most]
            self._decode((library.llama_token * len(part))(*part), len(part))
        return self._best(-1)

    def write(self, token: int, most: int) -> list[int]:
        """Continue, after `token`, up to `most` tokens or the end."""
        written: list[int] = []
        while len(written) < most and not self._ends(token):
            written.append(token)
            self._one[0] = token
            self._decode(self._one, 1)
            token = self._best(-1)
        return written

    def look_up(self, prompt: Sequence[int], token: int, most: int, size: int, ahead: int) -> Any:
        """Continue, guessing `ahead` tokens by where the last `size` stood before.

        Returns the tokens and the number of decodes.
        """
        known, written, decodes = [*prompt], [], 0
        memory = library.llama_get_memory(self._context)
        while len(written) < most and not self._ends(token):
            written.append(token)
            known.append(token)
            guess = ahead_of(known, size, ahead)
            self._decode_all([token, *guess], len(known) - 1)
            decodes += 1
            taken = 0
            token = self._best(0)
            while taken < len(guess) and token == guess[taken] and not self._ends(token):
                written.append(token)
                known.append(token)
                taken += 1
                token = self._best(taken)
            library.llama_memory_seq_rm(memory, 0, len(known), -1)
        return written[:most], decodes

    def close(self) -> None:
        """Give the memory back."""
        library.llama_batch_free(self._batch)
        library.llama_free(self._context)

    def _decode(self, tokens: Any, count: int) -> None:
        if library.llama_decode(self._context, library.llama_batch_get_one(tokens, count)):
            raise SystemExit("llama.cpp does not decode")

    def _decode_all(self, tokens: Sequence[int], start: int) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, start + i, True
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if library.llama_decode(self._context, batch):
            raise SystemExit("llama.cpp does not decode")

    def _best(self, place: int) -> int:
        found = library.llama_get_logits_ith(self._context, place)
        return int(np.ctypeslib.as_array(found, shape=(self._weights.size,)).argmax())

    def _ends(self, token: int) -> bool:
        return bool(library.llama_vocab_is_eog(self._weights.vocabulary, token))


def ahead_of(known: Sequence[int], size: int, ahead: int) -> list[int]:
    """Return what followed the last `size` tokens, or fewer, where they last stood before."""
    for length in range(size, 0, -1):
        last = list(known[-length:])
        for start in range(len(known) - length - 1, -1, -1):
            if list(known[start : start + length]) == last:
                return list(known[start + length : start + length + ahead])
    return []


def prompts(xquad: Path, count: int) -> list[list[Message]]:
    """Return the prompts of the first question of so many paragraphs, evenly drawn."""
    text = (xquad / "xquad.en.train.json").read_text(encoding="utf-8")
    paragraphs = [p for a in json.loads(text)["data"] for p in a["paragraphs"]]
    step = max(1, len(paragraphs) // count)
    return [
        load_for("read", "en").fill(
            {
                "passage": as_data(p["context"]),
                "question": as_data(p["qas"][0]["question"]),
                "language": "English",
            }
        )
        for p in paragraphs[::step][:count]
    ]


@contextmanager
def lasting(seconds: list[float]) -> Iterator[None]:
    """Append how long the block takes."""
    start = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - start)


def spread(ratios: Sequence[float]) -> str:
    """Write the median of ratios with the lowest and the highest."""
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def over(one: Sequence[float], two: Sequence[float]) -> list[float]:
    """Return the ratios of pairs."""
    return [a / b for a, b in zip(one, two, strict=True)]


class Ours:
    """The program's generator, with what its tokens and its constant head are."""

    def __init__(self, file: ModelFile, context: int) -> None:
        self.generator = LlamaGenerator.load(file, context=context)

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a prompt."""
        generator = self.generator
        return generator._engine.tokens(generator._template.prompt(messages))

    def constant(self, messages: Sequence[Message]) -> int:
        """Return the length of the head that every question shares."""
        return self.generator._constant(messages, self.tokens(messages))

    def write(self, messages: Sequence[Message], most: int) -> tuple[float, float, int]:
        """Return the seconds to the first token and to each later one, and their number."""
        usage, times = Usage(), [time.perf_counter()]
        stream = self.generator.stream(messages, usage, max_tokens=most, refusal=REFUSAL)
        for _ in stream:
            times.append(time.perf_counter())
        count = len(usage.probabilities)
        # A piece may be several tokens: what the first piece waits for is the first token.
        return times[1] - times[0], (times[-1] - times[1]) / (count - 1), count


def ratio(xquad: Path, file: ModelFile, context: int) -> None:
    """Hold the program's generator against the bare loop."""
    ours = Ours(file, context)
    weights = Weights(file.path)
    bare = Bare(weights, context)
    asked = prompts(xquad, REPETITIONS + 1)
    columns: dict[str, tuple[list[float], list[float]]] = {
        name: ([], [])
        for name in ("first token, nothing held", "first token, head held", "a token")
    }
    for n in range(REPETITIONS + 1):
        one, other = asked[n], asked[n - 1]
        counting, reading = ours.tokens(COUNTING), ours.tokens(one)
        head = ours.constant(one)
        a, b = columns["a token"]
        _, each, count = ours.write(COUNTING, WRITTEN)
        a.append(each)
        token = bare.read(counting)
        start = time.perf_counter()
        written = bare.write(token, WRITTEN)
        b.append((time.perf_counter() - start) / len(written))
        assert count == len(written) == WRITTEN, (count, len(written))
        a, b = columns["first token, nothing held"]  # the head of another prompt is held
        a.append(ours.write(one, 2)[0])
        with lasting(b):
            bare.read(reading)
        ours.write(other, 2)
        a, b = columns["first token, head held"]
        a.append(ours.write(one, 2)[0])
        with lasting(b):
            bare.read(reading, head)
        if n == 0:  # the pages of the file were read
            for pair in columns.values():
                for column in pair:
                    column.clear()
            print(f"{len(reading)} tokens, {len(reading) - head} after the head", flush=True)
    print("\n| | bare llama.cpp, s | the program's, times as long |\n|---|---|---|")
    for name, (a, b) in columns.items():
        print(f"| {name} | {statistics.median(b):.4f} | {spread(over(a, b))} |")
    a, b = columns["a token"]
    print(f"\nTokens a second, the program's to the bare loop's: {spread(over(b, a))}", flush=True)
    bare.close()
    weights.close()


def measured(bare: Bare, reading: Sequence[int], head: int, counting: Sequence[int]) -> Any:
    """Return seconds of reading a whole prompt, of reading after its head, and of a token."""
    times: list[float] = []
    with lasting(times):
        bare.read(reading)
    with lasting(times):
        bare.read(reading, head)
    token = bare.read(counting)
    start = time.perf_counter()
    written = bare.write(token, WRITTEN // 2)
    return [*times, (time.perf_counter() - start) / len(written)]


def answers(bare: Bare, prompts: Sequence[list[int]], heads: Sequence[int]) -> list[list[int]]:
    """Return the answer to each prompt; the head is read once, as the program does."""
    bare.read(prompts[0][: heads[0]])
    return [
        bare.write(bare.read(tokens, head), 32)
        for tokens, head in zip(prompts, heads, strict=False)
    ]


class Size(NamedTuple):
    """How many pairs are timed, and how many answers are compared."""

    pairs: int
    answers: int


def compare(
    xquad: Path,
    file: ModelFile,
    context: int,
    size: Size,
    rows: dict[str, Any],
    *,
    load: bool = False,
) -> None:
    """Hold options, of the window or of loading, against what is shipped; below 1 is faster."""
    ours = Ours(file, 1024)
    asked = prompts(xquad, max(size))
    tokens = [ours.tokens(messages) for messages in asked]
    heads = [ours.constant(messages) for messages in asked]
    counting = ours.tokens(COUNTING)
    weights = Weights(file.path)
    shipped = Bare(weights, context)
    wanted = answers(shipped, tokens[: size.answers], heads)
    print("| | whole prompt | after the head | a token | same answers |\n|---|---|---|---|---|")
    for name, options in rows.items():
        loaded = Weights(file.path, **options) if load else weights
        other = Bare(loaded, context, **({} if load else options))
        found = answers(other, tokens[: size.answers], heads)
        pairs = []
        for n in range(size.pairs):
            order = (shipped, other) if n % 2 else (other, shipped)
            told = {b: measured(b, tokens[n], heads[n], counting) for b in order}
            pairs.append(over(told[other], told[shipped]))
        cells = " | ".join(spread(column) for column in zip(*pairs, strict=True))
        same = sum(a == b for a, b in zip(found, wanted, strict=True))
        print(f"| {name} | {cells} | {same} of {len(wanted)} |", flush=True)
        other.close()
        if load:
            loaded.close()
    shipped.close()
    weights.close()


def lookup(xquad: Path, file: ModelFile, context: int, count: int) -> None:
    """Hold guessing ahead from the prompt against one token at a time."""
    ours = Ours(file, 1024)
    weights = Weights(file.path)
    bare = Bare(weights, context)
    asked = prompts(xquad, count)
    columns: dict[tuple[int, int], list[tuple[float, float, int, int, bool]]]
    columns = {setting: [] for setting in LOOKUPS}
    for n, messages in enumerate(asked):
        reading, head = ours.tokens(messages), ours.constant(messages)
        token = bare.read(reading, head if n else 0)
        for setting, column in columns.items():
            told: dict[str, tuple[float, list[int], int]] = {}
            for way in ("plain", "guessed") if n % 2 else ("guessed", "plain"):
                bare.read(reading, len(reading) - 1)
                start = time.perf_counter()
                if way == "plain":
                    written = bare.write(token, 32)
                    decodes = len(written)
                else:
                    written, decodes = bare.look_up(reading, token, 32, *setting)
                told[way] = (time.perf_counter() - start, written, decodes)
            (plain, one, _), (guessed, two, decodes) = told["plain"], told["guessed"]
            column.append((guessed, plain, decodes, len(one), one == two))
    print("| agree, guessed | answer without its first token, times as long | decodes | same |")
    print("|---|---|---|---|")
    for (size, ahead), column in columns.items():
        guesses, plains, decodings, lengths, same = zip(*column, strict=True)
        print(
            f"| {size}, {ahead} | all {sum(guesses) / sum(plains):.3f}; "
            f"each {spread(over(guesses, plains))} | {sum(decodings)} for {sum(lengths)} tokens | "
            f"{sum(same)} of {len(asked)} |",
            flush=True,
        )
    bare.close()
    weights.close()


def memory(file: ModelFile) -> None:
    """Print the peak memory of an `ask` that needs the generator, and of one that does not."""
    settings = Settings.load(env={})
    embedder = Path(resolve_embedder(settings.embedder, settings, SilentProgress()).path)
    index = sum(f.stat().st_size for f in settings.store.rglob("*") if f.is_file())
    generator = Path(file.path).stat().st_size
    every = generator + sum((embedder / name).stat().st_size for name in (ENCODER, WORDS))
    print(f"generator {generator / 1e6:.0f} MB, with the encoder {every / 1e6:.0f} MB, ", end="")
    print(f"index {index / 1e6:.1f} MB\n")
    print("| question | peak, MB | not of files, MB | of generator and index | of all weights |")
    print("|---|---|---|---|---|")
    for question in ("how many troops were sent?", "Where was Putin going to meet Trump?"):
        found = [peak(question) for _ in range(3)]
        whole, own = (statistics.median(column) for column in zip(*found, strict=True))
        shares = [spread([w / (base + index) for w, _ in found]) for base in (generator, every)]
        print(f"| {question} | {whole / 1e6:.0f} | {own / 1e6:.0f} | {' | '.join(shares)} |")


def peak(question: str) -> tuple[int, int]:
    """Ask in a process of its own; return its largest resident size, and that not of files."""
    program = [
        sys.executable,
        "-c",
        "from rag.cli import ask_main; ask_main()",
        "--fresh",
        question,
    ]
    child = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    # Not `ru_maxrss`: a child inherits there what its parent had before it became another program.
    own = whole = 0
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        told = Path(f"/proc/{child.pid}/status").read_text()
        found = dict(re.findall(r"(VmHWM|RssAnon):\s*(\d+)", told))
        own = max(own, int(found.get("RssAnon", 0)))
        whole = max(whole, int(found.get("VmHWM", 0)))
        time.sleep(0.01)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{question} ended with {child.returncode}")
    return whole * 1024, own * 1024


def main() -> None:
    """Run the parts that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xquad", type=Path)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--answers", type=int, default=20)
    asked = parser.parse_args()
    xquad, settings, size = asked.xquad, Settings.load(env={}), Size(asked.pairs, asked.answers)
    file = resolve_generator(settings.generator, settings, SilentProgress())
    # llama.cpp tells of every file and buffer on stderr, unless it is given another way out.
    silent = library.llama_log_callback(lambda *_: None)
    library.llama_log_set(silent, None)
    parts: dict[str, Callable[[], None]] = {
        "ratio": lambda: ratio(xquad, file, settings.context),
        "threads": lambda: compare(xquad, file, settings.context, size, THREADS),
        "batches": lambda: compare(xquad, file, settings.context, size, BATCHES),
        "attention": lambda: compare(xquad, file, settings.context, size, ATTENTION),
        "weights": lambda: compare(xquad, file, settings.context, size, WEIGHTS, load=True),
        "lookup": lambda: lookup(xquad, file, settings.context, size.answers),
        "memory": lambda: memory(file),
    }
    for part in asked.parts:
        parts[part]()


if __name__ == "__main__":
    main()
