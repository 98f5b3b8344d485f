"""Embeddings: marks, shapes and failures on a fake model; meaning on the real one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.embedding import E5_PROMPTS, SentenceTransformerEmbedder, _give_prompts
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


# The real embedder


@pytest.fixture(scope="module")
def real() -> SentenceTransformerEmbedder:
    settings = Settings.load()
    file = resolve_embedder(settings.embedder, settings, SilentProgress())
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
