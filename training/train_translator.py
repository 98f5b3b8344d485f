"""Train the default generator to translate short phrases: low-rank updates, as a GGUF file.

    pip install gguf
    python training/train_translator.py ../shared/xquad

takes the answers of `training/articles` and of XQuAD's training articles, which stand there
in several languages, and writes `rag/translator.gguf`. The updates are LoRA's (Hu et al.
2021), of rank 2 on the attention and rank 1 on the feed-forward layers, trained on the
weights as they are in the 4-bit file (Dettmers et al. 2023, "QLoRA"). What the reader holds
out is held out here, too.

A phrase comes alone, with the question that it answers, or with another question: the
model has to translate what stands there, not to answer. Everything is drawn with a fixed
seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import nn

from rag.generation.llama import TRANSLATOR_BASE
from rag.generation.template import ChatTemplate
from rag.models import SilentProgress, resolve_generator
from rag.phrasing import LANGUAGE_NAMES
from rag.prompts import load
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
from articles import XQUAD_HELD_OUT as HELD_OUT
from articles import articles
from low_rank import LowRank

# Only what is in another script needs a translation.
FOREIGN = ("ar", "el", "hi", "ru", "th", "zh")
# Each linear layer of a block: its name in the GGUF file, in transformers, and its rank.
LAYERS = (
    ("attn_q", "self_attn.q_proj", 2),
    ("attn_k", "self_attn.k_proj", 2),
    ("attn_v", "self_attn.v_proj", 2),
    ("attn_output", "self_attn.o_proj", 2),
    ("ffn_gate", "mlp.gate_proj", 1),
    ("ffn_up", "mlp.up_proj", 1),
    ("ffn_down", "mlp.down_proj", 1),
)
NORMS = (("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"))
SCALE = 4.0
BATCH = 16
WARM_UP = 30
UP_RATE = 4.0  # the factor that starts from nothing learns so many times faster
CLIP = 1.0
# How often a draw is a written answer into English, one out of it, an answer of XQuAD into
# English, and one out of it.
SHARES = (0.62, 0.10, 0.23, 0.05)
WHOLE_QUESTION = 0.12  # of the written ones: more words than the answers alone have
ALONE, ITS_OWN = 0.30, 0.55  # the rest comes with another question


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer, in each language."""

    asked: dict[str, str]
    answer: dict[str, str]


def written() -> list[Pair]:
    """Return the answers of the written articles that are not held out."""
    found = []
    for article in articles():
        if article.held_out:
            continue
        for paragraph in article.paragraphs:
            for question in paragraph.questions:
                if question.answers:
                    spans = question.answers.items()
                    answer = {x: paragraph.texts[x][a:b] for x, (a, b) in spans}
                    found.append(Pair(question.asked, answer))
    return found


def xquad(folder: Path) -> list[Pair]:
    """Return the answers of XQuAD's training articles 1 to 13, in seven languages."""
    found: dict[str, Pair] = {}
    for language in ("en", *FOREIGN):
        data = json.loads((folder / f"xquad.{language}.train.json").read_text("utf-8"))["data"]
        for number, article in enumerate(data):
            if number in HELD_OUT:
                continue
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    pair = found.setdefault(qa["id"], Pair({}, {}))
                    pair.asked[language] = qa["question"]
                    pair.answer[language] = qa["answers"][0]["text"]
    return list(found.values())


class Examples:
    """Draws (user's turn, target language, translation)."""

    def __init__(self, own: Sequence[Pair], other: Sequence[Pair], rng: random.Random) -> None:
        self.own = own
        self.other = other
        self.rng = rng

    def draw(self) -> tuple[str, str, str, str]:
        """Return phrase, question or '', the language to translate into, and the translation."""
        rng = self.rng
        kind = rng.choices(range(4), SHARES)[0]
        pairs = self.own if kind < 2 else self.other
        at = rng.randrange(len(pairs))
        pair = pairs[at]
        foreign = rng.choice([x for x in sorted(pair.answer) if x != "en"])
        source, target = (foreign, "en") if kind in (0, 2) else ("en", foreign)
        if kind == 0 and rng.random() < WHOLE_QUESTION:
            return pair.asked[source], "", target, pair.asked[target]
        chance, asked = rng.random(), ""
        if chance >= ALONE + ITS_OWN:
            asked = pairs[max(0, at - rng.randrange(1, 6))].asked.get(target, "")
        elif chance >= ALONE:
            asked = pair.asked[target]
        return pair.answer[source], asked, target, pair.answer[target]


def load_weights(path: str) -> Any:
    """Return the model of a GGUF file of Qwen2 in bf16, its 4-bit weights unpacked."""
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

    file = gguf.GGUFReader(path)

    def told(key: str) -> float:
        field = file.fields[f"qwen2.{key}"]
        return float(field.parts[field.data[0]][0])

    names = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "output": "lm_head",
        **{one: other for one, other, _ in LAYERS},
        **dict(NORMS),
    }
    weights = {}
    for tensor in file.tensors:
        *block, name, kind = tensor.name.split(".")
        prefix = f"model.layers.{block[1]}." if block else ""
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        weights[f"{prefix}{names[name]}.{kind}"] = torch.from_numpy(values).bfloat16()
    config = Qwen2Config(
        vocab_size=len(weights["model.embed_tokens.weight"]),
        hidden_size=int(told("embedding_length")),
        intermediate_size=int(told("feed_forward_length")),
        num_hidden_layers=int(told("block_count")),
        num_attention_heads=int(told("attention.head_count")),
        num_key_value_heads=int(told("attention.head_count_kv")),
        rms_norm_eps=told("attention.layer_norm_rms_epsilon"),
        rope_theta=told("rope.freq_base"),
        tie_word_embeddings="lm_head.weight" not in weights,
    )
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    model.load_state_dict(weights, strict=False, assign=True)
    model.model.rotary_emb = Qwen2RotaryEmbedding(config)
    model.tie_weights()
    missing = [name for name, p in model.named_parameters() if p.is_meta]
    if missing:
        raise ValueError(f"{path} lacks {missing[:3]}")
    return model.requires_grad_(False)


def add_updates(model: Any) -> dict[str, LowRank]:
    """Put a low-rank update on every linear layer; return them by GGUF name."""
    found = {}
    for number, block in enumerate(model.model.layers):
        for name, path, rank in LAYERS:
            parent, _, last = path.rpartition(".")
            linear = block.get_submodule(path)
            spread = 1 / math.sqrt(linear.in_features)
            update = LowRank(linear, rank, spread=spread, scale=SCALE)
            setattr(block.get_submodule(parent), last, update)
            found[f"blk.{number}.{name}.weight"] = update
    return found


def write(updates: dict[str, LowRank], path: Path, about: str) -> None:
    """Write a GGUF adapter in float16; its alpha is 0, so llama.cpp scales nothing."""
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)
    writer.add_license("CC-BY-SA-4.0")
    writer.add_description(about)
    for name, update in updates.items():
        writer.add_tensor(f"{name}.lora_a", update.down.detach().half().numpy())
        writer.add_tensor(f"{name}.lora_b", (update.up.detach() * SCALE).half().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Batches:
    """Draws examples and cuts them into tokens: ids, and the places where they are judged."""

    def __init__(self, examples: Examples, tokenizer: Any, template: ChatTemplate) -> None:
        self._examples = examples
        self._tokenizer = tokenizer
        self._template = template
        self._ready: list[list[tuple[list[int], list[int]]]] = []

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and labels, both (BATCH, tokens); a label is -100 where none is."""
        if not self._ready:
            # Texts of like length together: less padding to compute.
            drawn = sorted((self._tokens() for _ in range(4 * BATCH)), key=lambda x: len(x[0]))
            self._ready = [drawn[i : i + BATCH] for i in range(0, len(drawn), BATCH)]
            self._examples.rng.shuffle(self._ready)
        batch = self._ready.pop()
        size = max(len(prompt) + len(answer) for prompt, answer in batch)
        ids = torch.zeros(BATCH, size, dtype=torch.long)
        labels = torch.full((BATCH, size), -100)
        for row, (prompt, answer) in enumerate(batch):
            whole = prompt + answer
            ids[row, : len(whole)] = torch.tensor(whole)
            labels[row, len(prompt) - 1 : len(whole) - 1] = torch.tensor(answer)
        return ids, labels

    def _tokens(self) -> tuple[list[int], list[int]]:
        phrase, question, target, answer = self._examples.draw()
        messages = load("translator").fill(
            {
                "phrase": phrase,
                "asked": f"\n(it answers: {question})" if question else "",
                "language": LANGUAGE_NAMES[target],
            }
        )
        cut = self._tokenizer
        end = cut("<|im_end|>")["input_ids"]
        return cut(self._template.prompt(messages))["input_ids"], cut(answer)["input_ids"] + end


def train(
    model: Any, updates: dict[str, LowRank], batches: Batches, steps: int, rate: float
) -> None:
    """Run `steps` steps of AdamW with a linear warm-up and decay."""
    downs = [update.down for update in updates.values()]
    ups = [update.up for update in updates.values()]
    optimizer = torch.optim.AdamW([{"params": downs}, {"params": ups}], weight_decay=0.0)
    started, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        factor = min(1.0, step / WARM_UP) * max(0.02, 1 - step / steps)
        for group, times in zip(optimizer.param_groups, (1.0, UP_RATE), strict=True):
            group["lr"] = rate * times * factor
        ids, labels = batches.next()
        # Padding is on the right and attention causal, so nothing has to be masked.
        hidden = model.model(input_ids=ids)[0]
        judged = labels != -100
        logits = nn.functional.linear(hidden[judged], model.lm_head.weight).float()
        loss = nn.functional.cross_entropy(logits, labels[judged])
        loss.backward()
        nn.utils.clip_grad_norm_([*downs, *ups], CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            speed = step * BATCH / (time.monotonic() - started)
            print(
                f"step {step}: loss {sum(losses[-20:]) / 20:.3f}, {speed:.1f} a second", flush=True
            )


def main() -> None:
    """Train and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("rag/translator.gguf"))
    args = parser.parse_args()
    from transformers import AutoTokenizer

    settings = Settings.load(env={})
    file = resolve_generator(settings.generator, settings, SilentProgress())
    if file.sha256 != TRANSLATOR_BASE:
        sys.exit(f"{file.path} is not the model that the translator belongs to")
    path = Path(file.path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    template = ChatTemplate(tokenizer.chat_template, model=file.identity, bos="", eos="<|im_end|>")
    own, other = written(), xquad(args.xquad)
    print(f"{len(own)} written answers, {len(other)} of XQuAD", flush=True)
    torch.manual_seed(args.seed)
    model = load_weights(file.path)
    updates = add_updates(model)
    examples = Examples(own, other, random.Random(args.seed))
    train(model, updates, Batches(examples, tokenizer, template), args.steps, args.rate)
    write(updates, args.out, f"translates phrases; for {file.identity}")


if __name__ == "__main__":
    main()
