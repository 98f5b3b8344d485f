"""Embeddings: marks, shapes and failures on a fake model; meaning on the real one."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rag.embedding import (
    E5_PROMPTS,
    Encoder,
    LightEmbedder,
    SentenceTransformerEmbedder,
    load_embedder,
    transformer,
)
from rag.embedding.encoder import BATCH, MOST_TEXTS, batches
from rag.embedding.transformer import _give_prompts
from rag.embedding.words import Words
from rag.errors import ModelCorrupt
from rag.models import ModelFile, SilentProgress, resolve_embedder
from rag.settings import Settings


class FakeModel:
    """What is used of a `SentenceTransformer`; remembers the texts with their marks."""

    def __init__(self, dimension: int | None = 3, prompts: dict[str, str] | None = None) -> None:
        self.prompts = prompts
        self.seen: list[str] = []
        self.options: list[dict[str, object]] = []
        self._dimension = dimension

    def get_embedding_dimension(self) -> int | None:
        return self._dimension

    def encode_query(self, texts: Sequence[str], **options: object) -> np.ndarray:
        return self._encode("query", texts, options)

    def encode_document(self, texts: Sequence[str], **options: object) -> np.ndarray:
        return self._encode("document", texts, options)

    def _encode(self, kind: str, texts: Sequence[str], options: dict[str, object]) -> np.ndarray:
        self.options.append(options)
        mark = (self.prompts or {}).get(kind, "")
        self.seen += [mark + text for text in texts]
        # Float64 and in Fortran's order, as no caller should have to bear.
        return np.asfortranarray([[3.0, 0.0, 4.0]] * len(texts)) / 5


def test_questions_and_passages_go_different_ways() -> None:
    model = FakeModel(prompts=dict(E5_PROMPTS))
    embedder = SentenceTransformerEmbedder(model, "fake@1")
    embedder.embed_queries(["how many?"])
    embedder.embed_passages(["so many."])
    assert model.seen == ["query: how many?", "passage: so many."]


def test_vectors_are_float32_in_rows() -> None:
    embedder = SentenceTransformerEmbedder(FakeModel(), "fake@1")
    for embed in (embedder.embed_queries, embedder.embed_passages):
        vectors = embed(["a", "b"])
        assert (vectors.shape, vectors.dtype) == ((2, 3), np.float32)
        assert vectors.flags.c_contiguous
        assert vectors[0].tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert (embedder.identity, embedder.dimension) == ("fake@1", 3)


def test_the_model_is_asked_for_unit_vectors_and_silence() -> None:
    model = FakeModel()
    SentenceTransformerEmbedder(model, "fake@1").embed_queries(("a",))
    assert model.options[0]["normalize_embeddings"] is True
    assert model.options[0]["show_progress_bar"] is False


def test_no_texts_do_not_wake_the_model() -> None:
    model = FakeModel()
    embedder = SentenceTransformerEmbedder(model, "fake@1")
    for embed in (embedder.embed_queries, embedder.embed_passages):
        assert (embed([]).shape, embed([]).dtype) == ((0, 3), np.float32)
    assert model.options == []


@pytest.mark.parametrize("dimension", [None, 0])
def test_a_model_without_a_dimension_is_refused(dimension: int | None) -> None:
    with pytest.raises(ModelCorrupt, match="fake@1"):
        SentenceTransformerEmbedder(FakeModel(dimension), "fake@1")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("multilingual-e5-small", None, E5_PROMPTS),
        ("intfloat/E5-base", {"query": "", "document": ""}, E5_PROMPTS),
        ("some/folder/my-e5", {}, E5_PROMPTS),
        ("own-e5", {"query": "ask: "}, {"query": "ask: "}),
        ("e5/all-MiniLM", None, None),
        ("bge-m3", {"query": ""}, {"query": ""}),
    ],
)
def test_e5_models_get_their_marks_unless_they_bring_some(
    name: str, given: dict[str, str] | None, expected: dict[str, str] | None
) -> None:
    model = FakeModel(prompts=given)
    _give_prompts(model, name)
    assert model.prompts == expected


# Little text by llama.cpp, much by PyTorch


class Letters:
    """A tokenizer of letters, as far as `LightEmbedder` asks."""

    def single(self, text: str) -> list[int]:
        return [0, *map(ord, text), 2]

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


class Means:
    """An encoder whose states are (3, 4) for each token, and then (1, 0) for each end mark."""

    size = 2

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def states(self, inputs: Sequence[Sequence[int]]) -> list[np.ndarray]:
        self.seen += [list(ids) for ids in inputs]
        return [np.array([[3.0, 4.0]] * len(ids), dtype=np.float32) for ids in inputs]


class Bulk:
    identity, dimension = "fake@1", 2

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[1.0, 0.0]] * len(texts), dtype=np.float32)


def test_means_are_made_unit_vectors_and_inputs_marked() -> None:
    encoder = Means()
    embedder = LightEmbedder(encoder, Letters(), "fake@1")
    [vector] = embedder.embed_queries(["ab"])
    assert vector.tolist() == pytest.approx([0.6, 0.8])
    assert embedder.embed_passages(["c"]).dtype == np.float32
    marked = ["".join(map(chr, ids[1:-1])) for ids in encoder.seen]
    assert marked == ["query: ab", "passage: c"]
    assert embedder.embed_queries([]).shape == (0, 2)


def test_pytorch_is_woken_where_there_is_much_text_and_stays_awake() -> None:
    woken: list[Bulk] = []
    # "passage: a" and its two marks are 12 tokens.
    embedder = LightEmbedder(
        Means(), Letters(), "fake@1", lambda: woken.append(Bulk()) or woken[0], 24
    )
    assert embedder.embed_passages(["a", "b"])[1].tolist() == pytest.approx([0.6, 0.8])
    assert woken == []
    assert embedder.embed_passages(["c"]).tolist() == [[1.0, 0.0]]
    assert embedder.embed_passages(["d"]).tolist() == [[1.0, 0.0]]
    assert len(woken) == 1
    assert embedder.embed_queries(["a"])[0].tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([3], [[0]]),
        ([BATCH, 1, BATCH], [[0], [2], [1]]),
        ([200, 300, 212, 12], [[1, 2], [0, 3]]),
        ([1] * (MOST_TEXTS + 1), [[*range(MOST_TEXTS)], [MOST_TEXTS]]),
    ],
)
def test_inputs_are_shared_out_long_ones_first(
    lengths: list[int], expected: list[list[int]]
) -> None:
    assert list(batches(lengths)) == expected


BLOCKS = np.zeros((3, 18), np.uint8)  # a row of one Q4_0 block for each of three words


def words_file(folder: Path, rows: Any = BLOCKS) -> Path:
    np.save(folder / "words.npy", rows, allow_pickle=True)
    return folder / "words.npy"


def test_word_embeddings_that_are_none_are_one_line(tmp_path: Path) -> None:
    nothing: tuple[Any, ...] = (
        np.zeros((3, 17), np.uint8), np.zeros(18, np.uint8), np.zeros((3, 18)),
        np.array([{"a": 1}], dtype=object),
    )  # fmt: skip
    for rows in nothing:
        with pytest.raises(ModelCorrupt, match="no word embeddings") as error:
            Words.load(words_file(tmp_path, rows))
        assert "\n" not in str(error.value)
    (tmp_path / "words.npy").write_bytes(b"")
    with pytest.raises(ModelCorrupt, match="no word embeddings"):
        Words.load(tmp_path / "words.npy")


@pytest.mark.parametrize("content", [None, b"", b"GGUF" + bytes(60)])
def test_a_file_that_is_no_encoder_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "encoder.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelCorrupt, match="cannot load the encoder") as error:
        Encoder.load(file, words_file(tmp_path), threads=1)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


# The real embedder


@pytest.fixture(scope="module")
def real() -> SentenceTransformerEmbedder:
    settings = Settings.load()
    file = resolve_embedder("multilingual-e5-small", settings, SilentProgress())
    return SentenceTransformerEmbedder.load(file, offline=settings.offline)


@pytest.mark.models
def test_the_real_embedder_gives_marked_unit_vectors(real: SentenceTransformerEmbedder) -> None:
    texts = ["15,000 troops were sent.", "", "x" * 5000]
    queries, passages = real.embed_queries(texts), real.embed_passages(texts)
    assert queries.shape == passages.shape == (3, real.dimension) == (3, 384)
    for vectors in (queries, passages):
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert not np.allclose(queries[0], passages[0], atol=1e-3)


@pytest.mark.models
def test_a_translation_is_nearer_than_another_sentence(real: SentenceTransformerEmbedder) -> None:
    question = real.embed_queries(["How many troops did North Korea send to Russia?"])[0]
    near, far = real.embed_passages(
        [
            "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।",
            "राहत शिविरों में लगभग 8,500 लोगों ने शरण ली है।",
        ]
    )
    assert question @ near > question @ far + 0.02


@pytest.mark.models
def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    file = ModelFile("mine", str(tmp_path), None, "mine@1")
    with pytest.raises(ModelCorrupt) as error:
        SentenceTransformerEmbedder.load(file, offline=True)
    line = str(error.value)
    assert "\n" not in line
    assert f"The embedder mine at {tmp_path} cannot be loaded" in line
    assert "--embedder" in line
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


@pytest.fixture(scope="module")
def light() -> LightEmbedder:
    settings = Settings.load()
    file = resolve_embedder("multilingual-e5-small", settings, SilentProgress())
    found = load_embedder(file)
    assert isinstance(found, LightEmbedder)
    return found


PROBES = (
    "how many troops were sent?", "उत्तर कोरिया ने लगभग 15,000 सैनिक भेजे हैं।", "कितने सैनिक?",
    "कैफ़े", "क़", unicodedata.normalize("NFD", "Ångström café"), "كم عدد الجنود؟",
    "ทหารกี่นาย", "北京有多少人？", "ｆｕｌｌ　ｗｉｄｔｈ", "Сколько солдат?", "😀 👩\u200d👧",
    "  a  b", "x\u200by", "1,2,3 ½ ①", "long" + " long" * 699, "\ufeffmark",
)  # fmt: skip


@pytest.mark.models
def test_both_ways_cut_every_script_into_the_same_tokens(
    light: LightEmbedder, real: SentenceTransformerEmbedder
) -> None:
    cut = real.backbone().tokenizer
    for text in PROBES:
        assert (
            light._input("query", text)
            == cut([f"query: {text}"], truncation=True, max_length=512)["input_ids"][0]
        )
    assert light.count_tokens(PROBES) == real.count_tokens(PROBES)


@pytest.mark.models
def test_both_ways_give_the_same_vectors(
    light: LightEmbedder, real: SentenceTransformerEmbedder
) -> None:
    for mine, theirs in (
        (light.embed_queries(PROBES), real.embed_queries(PROBES)),
        (light.embed_passages(PROBES), real.embed_passages(PROBES)),
    ):
        assert mine.shape == theirs.shape
        # Farther apart, the nearest of many passages would be others (up to 2e-5 with PyTorch's
        # own form of GELU).
        assert (mine.astype(np.float64) * theirs).sum(axis=1).min() > 1 - 1e-6


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([9000], [[0]]),
        ([1000, 2000, 500], [[1, 0], [2]]),  # two of 2,000 are 4,000, three 6,000
        ([4001, 1, 1], [[0], [1, 2]]),
        ([1] * 33, [[*range(32)], [32]]),
    ],
)
def test_batches_of_about_a_thousand_tokens(lengths: list[int], expected: list[list[int]]) -> None:
    assert list(transformer.batches(lengths)) == expected


@pytest.mark.parametrize(("seconds", "half"), [((1.0, 2.0), True), ((2.0, 1.0), False)])
def test_the_quicker_precision_is_taken(
    seconds: tuple[float, float], half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that runs by what the model is asked for; more texts than are tried."""
    clock = 0.0
    asked: list[int] = []

    class Model:
        def get_embedding_dimension(self) -> int:
            return 2

        def encode_document(self, texts: list[str], **_: object) -> np.ndarray[Any, Any]:
            nonlocal clock
            clock += seconds[0] if embedder._half else seconds[1]
            asked.append(len(texts))
            return np.ones((len(texts), 2))

    embedder = SentenceTransformerEmbedder(cast(Any, Model()), "m@1", half=None)
    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    monkeypatch.setattr(embedder, "_precision", nullcontext)
    for _ in range(2):
        assert embedder.embed_passages(["text"] * 30).shape == (30, 2)
    assert embedder._half is half
    assert asked == [16, 16, 16, 16, 30, 30]


@pytest.mark.models
def test_multiplying_in_half_precision_gives_the_same_vectors(
    real: SentenceTransformerEmbedder,
) -> None:
    half = SentenceTransformerEmbedder(real._model, real.identity, half=True)
    mine, theirs = half.embed_passages(PROBES), real.embed_passages(PROBES)
    assert (mine * theirs).sum(axis=1).min() > 0.999
    assert np.linalg.norm(mine, axis=1) == pytest.approx(np.ones(len(PROBES)), abs=1e-5)


@pytest.mark.models
def test_inputs_of_no_length_that_fits_are_refused(light: LightEmbedder) -> None:
    for length in (0, BATCH + 1):
        with pytest.raises(ValueError, match="1 to 512"):
            light.encoder.states([[5] * length])
