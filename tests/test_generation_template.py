"""Chat templates in the manner of well-known families, written for these tests."""

from __future__ import annotations

import pytest

from rag.errors import GenerationError, ModelCorrupt
from rag.generation.template import CHATML, ChatTemplate, merged, source_of
from rag.prompts import Message

MESSAGES: list[Message] = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "Capital of France?"},
]

CHAT_ML = """
{%- for turn in messages %}
{{- '<|im_start|>' ~ turn.role ~ '\\n' ~ turn.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""

HEADERS = """
{{- bos_token -}}
{%- set day = strftime_now('%d %b %Y') -%}
{%- for turn in messages -%}
{{- '<|start_header_id|>' ~ turn['role'] ~ '<|end_header_id|>\\n\\n' -}}
{%- if loop.first and turn.role == 'system' %}{{- 'Day: ' ~ day ~ '\\n' }}{% endif -%}
{{- turn['content'] | trim ~ '<|eot_id|>' -}}
{%- endfor -%}
{%- if tools is not none and tools %}{{- tools | tojson }}{% endif -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}"""

TURNS = """
{{- bos_token -}}
{%- if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif -%}
{%- for turn in messages -%}
{%- if (turn.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('roles must take turns') -}}
{%- endif -%}
{%- set name = 'model' if turn.role == 'assistant' else turn.role -%}
{{- '<start_of_turn>' ~ name ~ '\\n' ~ turn.content ~ '<end_of_turn>\\n' -}}
{%- endfor -%}
{{- '<start_of_turn>model\\n' -}}"""

INST = """
{{- bos_token -}}
{%- for turn in messages -%}
{%- if turn.role == 'user' %}{{ '[INST] ' ~ turn.content ~ ' [/INST]' }}
{%- elif turn.role == 'assistant' %}{{ ' ' ~ turn.content ~ eos_token }}{% endif -%}
{%- endfor -%}"""

SWITCHED = (
    CHAT_ML
    + """
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}"""
)

PREFILLED = """
{{- bos_token -}}
{%- for turn in messages -%}
{%- if turn.role == 'assistant' -%}
{{- '<|A|>' ~ turn.content.split('</think>')[-1] -}}
{%- else %}{{ '<|' ~ turn.role[0] ~ '|>' ~ turn.content }}{% endif -%}
{%- endfor -%}
{{- '<|A|><think>\\n' -}}"""


def prompt(source: str, messages: list[Message] = MESSAGES) -> str:
    return ChatTemplate(source, model="a model", bos="<s>", eos="</s>").prompt(messages)


def test_chatml_keeps_the_system_message() -> None:
    expected = (
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\nCapital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert prompt(CHAT_ML) == expected
    assert prompt(CHATML) == expected


def test_today_is_the_same_on_every_day() -> None:
    text = prompt(HEADERS)
    assert text.startswith("<s><|start_header_id|>system<|end_header_id|>\n\nDay: 13 Aug 2025\nBe")
    assert text.endswith("France?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")


def test_a_refused_system_message_goes_to_the_first_user() -> None:
    assert prompt(TURNS) == (
        "<s><start_of_turn>user\nBe short.\n\n2 + 2?<end_of_turn>\n"
        "<start_of_turn>model\n4<end_of_turn>\n"
        "<start_of_turn>user\nCapital of France?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_a_system_message_left_out_in_silence_does_too() -> None:
    assert prompt(INST) == (
        "<s>[INST] Be short.\n\n2 + 2? [/INST] 4</s>[INST] Capital of France? [/INST]"
    )


def test_neighbours_of_one_role_become_one_where_roles_must_take_turns() -> None:
    twice: list[Message] = [*MESSAGES, {"role": "user", "content": "One word."}]
    assert "Capital of France?\n\nOne word.<end_of_turn>" in prompt(TURNS, twice)
    assert merged([]) == []


def test_thinking_is_switched_off_where_it_can_be() -> None:
    template = ChatTemplate(SWITCHED, model="a model")
    assert template.prompt(MESSAGES).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert not template.thinks


def test_thinking_that_cannot_be_switched_off_is_known() -> None:
    template = ChatTemplate(PREFILLED, model="a model")
    assert template.prompt(MESSAGES).endswith("Capital of France?<|A|><think>\n")
    assert template.thinks
    assert not ChatTemplate(CHAT_ML, model="a model").thinks


def test_the_effort_of_a_channel_model_is_low() -> None:
    source = "{{ reasoning_effort }}<|channel|>" + CHAT_ML
    assert ChatTemplate(source, model="a model").prompt(MESSAGES).startswith("low<|channel|>")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for m in messages %}{{ m.content }}", "Unexpected end of template"),
        ("{{ messages[0].nothing.more }}", "has no attribute 'nothing'"),
        ("{{ raise_exception('never\nuse me') }}", "never use me"),
        ("{{ 1 // 0 }}", "division"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("Hello.", "leaves out what it is told"),
        ("{% for m in messages %}{{ m.content }}{% break %}{% endfor %}", "it leaves out"),
    ],
)
def test_a_broken_template_is_one_line_that_names_the_model(source: str, reason: str) -> None:
    with pytest.raises(ModelCorrupt) as caught:
        ChatTemplate(source, model="bad.gguf@1")
    message = str(caught.value)
    assert reason in message
    assert message.startswith("The chat template of bad.gguf@1 cannot be used: ")
    assert message.endswith("Name another model with --generator (rag models list).")
    assert "\n" not in message


def test_a_template_that_fails_later_is_one_line_too() -> None:
    late = CHAT_ML + "{% if messages | length > 4 %}{{ raise_exception('too many') }}{% endif %}"
    template = ChatTemplate(late, model="late.gguf@1")
    with pytest.raises(GenerationError, match=r"template of late\.gguf@1 cannot be used: too many"):
        template.prompt([*MESSAGES, *MESSAGES])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["", ".tool_use", ".rag"], ""),
        ([".tool_use", ".default"], ".default"),
        ([".tool_use", ".rag"], ".rag"),
        ([".tool_use"], ".tool_use"),
    ],
)
def test_of_several_templates_the_plain_one_is_taken(names: list[str], chosen: str) -> None:
    metadata = {f"tokenizer.chat_template{name}": f"template{name}" for name in names}
    assert source_of(metadata) == f"template{chosen}"


def test_without_a_template_the_model_is_taken_to_speak_chatml() -> None:
    assert source_of({"general.architecture": "llama"}) == CHATML
