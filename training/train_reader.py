"""Train the span reader: low-rank updates of multilingual-e5-small and a start/end head.

    python training/train_reader.py ../shared/xquad

reads `xquad.<language>.train.json` (articles 1 to 16, CC BY-SA 4.0) in twelve languages,
the questions that `training/make_questions.py` made of the same articles, and the parallel
articles that were written for it (`training/articles`), and writes `rag/span_reader.gguf`
(and beside it each stage's weights, as safetensors). XQuAD's last three articles and an
eighth of the written ones are held out: `training/calibrate.py` fits the confidence on them.
Everything is drawn with fixed seeds; bf16 sums differ a little between processors, so another
machine gives another file of the same worth.

A question is read over a window of one to four sentences, in the same language half the
time and in any other else; a third of the windows do not hold the answer, and then the
reader has to point at the first token (Devlin et al. 2019, "BERT", section 4.3). The
updates are LoRA's (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models")
on every linear layer.

It runs in four stages, each from the weights of the one before. The first is on XQuAD
alone; its model marks the answers of the made questions, which are English, in the other
languages' texts (kept where its mark has the very numbers of the English answer, or is sure
and sounds like it), and the second is on both. The third adds the written articles, with
questions that are near misses: they name what the article tells of, and nothing there
answers them. The fourth draws more of XQuAD again, slowly, so that what an annotator marks
is not forgotten. `--stage 3 --from weights` begins at the third.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.numpy import load_file as numpy_file
from safetensors.torch import load_file, save_file
from torch import nn

from rag.embedding import Backbone, LightEmbedder, SentenceTransformerEmbedder, load_embedder
from rag.language import numbers, sentences, sound, words
from rag.models import SilentProgress, resolve_embedder
from rag.settings import Settings
from rag.spans import BASE, SpanReader

sys.path.insert(0, str(Path(__file__).resolve().parent))
from articles import XQUAD_HELD_OUT as HELD_OUT
from articles import articles
from low_rank import LowRank
from reader_file import LINEAR, SCALE, write_reader

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
WRITTEN = 100  # the number of the first written article, beyond those of XQuAD
RANK = 32
SPREAD = 0.01
BATCH = 16
UNANSWERABLE = 0.35  # of the questions that have an answer elsewhere
# How often the last two stages draw from XQuAD, the made questions, the written ones and the
# near misses.
SHARES = {3: (0.27, 0.06, 0.52, 0.15), 4: (0.52, 0.10, 0.28, 0.10)}
SAME_LANGUAGE = 0.5
LONGEST = 320  # tokens
CLIP = 1.0
WARM_UP = 60
HEAD_RATE = 2.0  # the head starts from nothing and learns so many times faster
SURE = 4.0  # nats by which a mark must beat "no answer" when sounds must confirm it

Place = tuple[int, int]  # article, paragraph


@dataclass(frozen=True, slots=True)
class Question:
    """A question as asked in each language, and its span in each text; none: a near miss."""

    place: Place
    asked: dict[str, str]
    spans: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Texts:
    """Paragraphs and their sentences, by language and place."""

    text: dict[str, dict[Place, str]]
    sentences: dict[str, dict[Place, list[tuple[int, int]]]]


class Trained(nn.Module):
    """The encoder with its updates, and the head: token ids to start and end logits."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder.float()
        for parameter in encoder.parameters():
            parameter.requires_grad_(False)
        self.updates: dict[str, LowRank] = {}
        for name, module in list(encoder.named_modules()):
            if name.endswith(LINEAR) and name.startswith("encoder.layer."):
                parent, _, last = name.rpartition(".")
                self.updates[name] = LowRank(module, RANK, spread=SPREAD, scale=SCALE)
                setattr(encoder.get_submodule(parent), last, self.updates[name])
        self.head = nn.Linear(encoder.config.hidden_size, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (texts, tokens, 2)."""
        return self.head(self.encoder(input_ids=ids, attention_mask=mask)[0].float())

    def restore(self, weights: dict[str, torch.Tensor]) -> None:
        """Go on from what `weights` gave before."""
        with torch.no_grad():
            for name, update in self.updates.items():
                update.down.copy_(weights[f"{name}.down"])
                update.up.copy_(weights[f"{name}.up"])
            self.head.weight.copy_(weights["head.weight"])
            self.head.bias.copy_(weights["head.bias"])

    def weights(self) -> dict[str, torch.Tensor]:
        """Return what was trained, in half precision, under the names of the layers."""
        found = {}
        for name, update in self.updates.items():
            found[f"{name}.down"], found[f"{name}.up"] = update.down, update.up
        found |= {"head.weight": self.head.weight, "head.bias": self.head.bias}
        return {n: t.detach().half().clone().contiguous() for n, t in found.items()}


def load_xquad(folder: Path) -> tuple[list[Question], Texts]:
    """Read the train files of all languages; they are translations of one another."""
    asked: dict[str, dict[str, str]] = {}
    spans: dict[str, dict[str, tuple[int, int]]] = {}
    places: dict[str, Place] = {}
    text: dict[str, dict[Place, str]] = {language: {} for language in LANGUAGES}
    for language in LANGUAGES:
        data = json.loads((folder / f"xquad.{language}.train.json").read_text("utf-8"))["data"]
        for a, article in enumerate(data):
            for p, paragraph in enumerate(article["paragraphs"]):
                text[language][a, p] = paragraph["context"]
                for qa in paragraph["qas"]:
                    answer = qa["answers"][0]
                    start = answer["answer_start"]
                    places[qa["id"]] = (a, p)
                    asked.setdefault(qa["id"], {})[language] = qa["question"]
                    span = (start, start + len(answer["text"]))
                    spans.setdefault(qa["id"], {})[language] = span
    cut = {x: {place: sentences(t) for place, t in text[x].items()} for x in LANGUAGES}
    return [Question(places[i], asked[i], spans[i]) for i in asked], Texts(text, cut)


def load_made(path: Path) -> list[Question]:
    """Read the English questions that `make_questions.py` made."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        if "question" not in row:
            continue
        place = (int(row["article"]), int(row["paragraph"]))
        span = (int(row["start"]), int(row["end"]))
        found.append(Question(place, {"en": row["question"]}, {"en": span}))
    return found


def load_written(texts: Texts) -> list[Question]:
    """Read the written articles that are not held out; their texts are added to `texts`."""
    found = []
    for number, article in enumerate(articles(), WRITTEN):
        if article.held_out:
            continue
        for p, paragraph in enumerate(article.paragraphs):
            for language, text in paragraph.texts.items():
                texts.text.setdefault(language, {})[number, p] = text
                texts.sentences.setdefault(language, {})[number, p] = sentences(text)
            found += [Question((number, p), q.asked, q.answers) for q in paragraph.questions]
    return found


class Examples:
    """Draws (question, window, span or nothing) from several sets, each with its share."""

    def __init__(
        self,
        sets: Sequence[Sequence[Question]],
        texts: Texts,
        rng: random.Random,
        shares: Sequence[float] | None = None,
    ) -> None:
        self.sets = sets
        self.texts = texts
        self.rng = rng
        self.shares = shares or [len(questions) for questions in sets]

    def draw(self) -> tuple[str, str, tuple[int, int] | None]:
        """Draw one example."""
        rng = self.rng
        question = rng.choice(rng.choices(self.sets, self.shares)[0])
        asked = rng.choice(_weighted(question.asked))
        if not question.spans:
            return question.asked[asked], self._near(question), None
        read = asked
        if asked not in question.spans or rng.random() >= SAME_LANGUAGE:
            read = rng.choice(_weighted(question.spans))
        if rng.random() < UNANSWERABLE:
            return question.asked[asked], self._elsewhere(question, read), None
        window, span = self._window(question, read)
        return question.asked[asked], window, span

    def _window(self, question: Question, language: str) -> tuple[str, tuple[int, int]]:
        """Return one to four sentences around the answer, and its place in them."""
        rng, (start, end) = self.rng, question.spans[language]
        cut = self.texts.sentences[language][question.place]
        first = max(0, bisect_right([a for a, _ in cut], start) - 1)
        last = first
        while last + 1 < len(cut) and cut[last][1] < end:
            last += 1
        wanted = rng.choice((1, 1, 2, 2, 3, 4))
        while last - first + 1 < wanted and (first > 0 or last + 1 < len(cut)):
            if (rng.random() < 0.5 and first > 0) or last + 1 >= len(cut):
                first -= 1
            else:
                last += 1
        left, right = cut[first][0], cut[last][1]
        text = self.texts.text[language][question.place][left:right]
        return text, (start - left, end - left)

    def _near(self, question: Question) -> str:
        """Return sentences of the article of a question that none of it answers."""
        rng, (article, _) = self.rng, question.place
        language = rng.choice(_weighted(question.asked))
        cut = self.texts.sentences[language]
        place = question.place
        if rng.random() < 0.3:
            place = rng.choice([p for p in cut if p[0] == article])
        first = rng.randrange(len(cut[place]))
        last = min(len(cut[place]) - 1, first + rng.choice((0, 0, 1, 2, 3)))
        return self.texts.text[language][place][cut[place][first][0] : cut[place][last][1]]

    def _elsewhere(self, question: Question, language: str) -> str:
        """Return sentences that do not answer: of the paragraph, the article, or any other."""
        rng, cut = self.rng, self.texts.sentences[language]
        start, end = question.spans[language]
        kind, here = rng.random(), question.place
        if kind < 0.5:
            others = [(a, b) for a, b in cut[here] if not (a < end and start < b)]
            if others:
                a, b = rng.choice(others)
                return self.texts.text[language][here][a:b]
        near = [p for p in cut if p[0] == here[0] and p != here]
        place = rng.choice(near if kind < 0.8 else [p for p in cut if p != here])
        first = rng.randrange(len(cut[place]))
        last = min(len(cut[place]) - 1, first + rng.choice((0, 0, 1, 2)))
        return self.texts.text[language][place][cut[place][first][0] : cut[place][last][1]]


def _weighted(languages: dict[str, object]) -> list[str]:
    """Return the languages to draw from: Hindi and English, the home case, three times."""
    return [x for x in sorted(languages) for _ in range(3 if x in ("hi", "en") else 1)]


def targets(encoded: object, spans: Sequence[tuple[int, int] | None]) -> torch.Tensor:
    """Return the first and the last token of each span, shape (2, texts); 0 for none."""
    firsts, lasts = [], []
    for row, span in enumerate(spans):
        inside = [0]
        if span is not None:
            sides = encoded.sequence_ids(row)
            offsets = encoded["offset_mapping"][row].tolist()
            inside = [
                t
                for t, (side, (a, b)) in enumerate(zip(sides, offsets, strict=True))
                if side == 1 and a < b and a < span[1] and b > span[0]
            ] or [0]
        firsts.append(inside[0])
        lasts.append(inside[-1])
    return torch.tensor([firsts, lasts])


def train(
    model: Trained, tokenizer: object, examples: Examples, steps: int, rate: float, seed: int
) -> None:
    """Run `steps` steps of AdamW with a linear warm-up and decay."""
    torch.manual_seed(seed)
    rates = (rate, rate * HEAD_RATE)
    updates = [p for u in model.updates.values() for p in (u.down, u.up)]
    groups = [{"params": updates}, {"params": list(model.head.parameters())}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
    started, losses, batches = time.monotonic(), [], []
    model.train()
    for step in range(1, steps + 1):
        factor = min(1.0, step / WARM_UP) * max(0.02, 1 - step / steps)
        for group, base in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = base * factor
        if not batches:
            batches = _batches(examples)
        losses.append(_step(model, tokenizer, batches.pop(), optimizer))
        if step % 50 == 0:
            mean = sum(losses[-50:]) / 50
            speed = step * BATCH / (time.monotonic() - started)
            print(f"step {step}: loss {mean:.3f}, {speed:.1f} examples/s", flush=True)


def _batches(examples: Examples) -> list[list[tuple[str, str, tuple[int, int] | None]]]:
    """Draw four batches of texts of like length: less padding to compute."""
    drawn = sorted((examples.draw() for _ in range(4 * BATCH)), key=lambda x: len(x[1]))
    batches = [drawn[i : i + BATCH] for i in range(0, len(drawn), BATCH)]
    examples.rng.shuffle(batches)
    return batches


def _step(
    model: Trained,
    tokenizer: object,
    batch: Sequence[tuple[str, str, tuple[int, int] | None]],
    optimizer: torch.optim.Optimizer,
) -> float:
    encoded = tokenizer(
        [f"query: {question}" for question, _, _ in batch],
        [window for _, window, _ in batch],
        truncation="only_second",
        max_length=LONGEST,
        padding=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    firsts, lasts = targets(encoded, [span for _, _, span in batch])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(encoded["input_ids"], encoded["attention_mask"])
    logits = logits.masked_fill(~encoded["attention_mask"].bool()[..., None], -1e4)
    entropy = nn.functional.cross_entropy
    loss = (entropy(logits[..., 0], firsts) + entropy(logits[..., 1], lasts)) / 2
    loss.backward()
    nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def mark(
    reader: SpanReader, question: Question, texts: Texts, languages: Sequence[str]
) -> Question:
    """Add the spans of other languages that the reader finds and the English confirms."""
    start, end = question.spans["en"]
    answer = texts.text["en"][question.place][start:end]
    spans = dict(question.spans)
    paragraphs = [texts.text[x][question.place] for x in languages]
    read = reader.read(question.asked["en"], paragraphs)
    for language, text, found in zip(languages, paragraphs, read, strict=True):
        if found and confirmed(answer, text[found[0].start : found[0].end], found[0].margin):
            spans[language] = (found[0].start, found[0].end)
    return Question(question.place, question.asked, spans)


def confirmed(answer: str, marked: str, margin: float) -> bool:
    """Whether a mark is the translation of an answer, as far as numbers and names tell."""
    if numbers(answer) or numbers(marked):
        return sorted(numbers(answer)) == sorted(numbers(marked))
    names = {sound(w) for w in words(answer)} - {""}
    heard = {sound(w) for w in words(marked)} - {""}
    return margin > SURE and (not names.isdisjoint(heard) or margin > 2 * SURE)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--made", type=Path, default=Path("training/made_questions.jsonl"))
    parser.add_argument("--steps", type=int, nargs=4, default=(1000, 500, 1400, 300))
    parser.add_argument("--rates", type=float, nargs=4, default=(4e-4, 3e-4, 3e-4, 1.5e-4))
    parser.add_argument("--stage", type=int, choices=(1, 2, 3, 4), default=1, help="begin here")
    parser.add_argument("--from", dest="weights", type=Path, help="the weights to begin from")
    parser.add_argument("--first", type=Path, help="the first stage's weights, to mark with")
    parser.add_argument("--out", type=Path, default=Path("rag/span_reader.gguf"))
    return parser.parse_args()


def main() -> None:
    """Train the stages and write the weights."""
    args = arguments()
    questions, texts = load_xquad(args.xquad)
    kept = [q for q in questions if q.place[0] not in HELD_OUT]
    print(f"{len(kept)} of {len(questions)} questions are trained on", flush=True)
    file = resolve_embedder(BASE, Settings.load(env={}), SilentProgress())
    data = "XQuAD articles 1-13, training/made_questions.jsonl, training/articles"
    about = {"base": file.identity, "licence": "CC-BY-SA-4.0", "data": data}

    def backbone() -> Backbone:
        return SentenceTransformerEmbedder.load(file).backbone()

    def stage(number: int, examples: Examples, weights: Path | None, out: Path) -> Path:
        if number < args.stage:
            return out
        model = Trained(backbone().encoder)
        if weights is not None:
            model.restore(load_file(weights))
        steps, rate = args.steps[number - 1], args.rates[number - 1]
        train(model, backbone().tokenizer, examples, steps, rate, number)
        save_file(model.weights(), out, about)
        write_reader(out.with_suffix(".gguf"), numpy_file(out), about)
        return out

    def reader_of(weights: Path) -> SpanReader:
        write_reader(weights.with_suffix(".gguf"), numpy_file(weights), about)
        embedder = load_embedder(file)
        assert isinstance(embedder, LightEmbedder)
        return SpanReader.load(weights.with_suffix(".gguf"), embedder.encoder, embedder.tokenizer)

    first = args.first or args.out.with_suffix(".first.safetensors")
    stage(1, Examples([kept], texts, random.Random(1)), None, first)
    made = [q for q in load_made(args.made) if q.place[0] not in HELD_OUT]
    reader, rng = reader_of(first), random.Random(2)
    marked = [mark(reader, q, texts, ["hi", *rng.sample(LANGUAGES, 2)]) for q in made]
    places = sum(len(q.spans) - 1 for q in marked)
    print(f"{len(marked)} made questions, {places} marked in other languages", flush=True)
    second = args.out.with_suffix(".second.safetensors")
    begin = args.weights if args.stage == 2 else first
    stage(2, Examples([[*kept, *marked]], texts, random.Random(2)), begin, second)
    written = load_written(texts)
    answered = [q for q in written if q.spans]
    missed = [q for q in written if not q.spans]
    print(f"{len(answered)} written questions, {len(missed)} near misses", flush=True)
    sets = [kept, marked, answered, missed]
    third = args.out.with_suffix(".third.safetensors")
    begin = args.weights if args.stage == 3 else second
    stage(3, Examples(sets, texts, random.Random(3), SHARES[3]), begin, third)
    begin = args.weights if args.stage == 4 else third
    stage(
        4,
        Examples(sets, texts, random.Random(4), SHARES[4]),
        begin,
        args.out.with_suffix(".safetensors"),
    )


if __name__ == "__main__":
    main()
