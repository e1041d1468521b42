"""Tools as a model is told of them. The rule: no handler stands here; running a tool is `polyvox.tools`' work."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from polyvox.types.parts import Meta


class Grammar(Struct, frozen=True, omit_defaults=True):
    """The shape a custom tool's free-text input must have. `syntax` is `lark` or `regex`."""

    syntax: str
    definition: str


class Tool(Struct, frozen=True, omit_defaults=True):
    """A tool that the model may call.

    `function` tools take JSON by the schema `parameters` (`None`: no parameters said); `custom` tools take free text,
    bound by `grammar` if given; `hosted` tools run at the provider, `name` is the provider's word for the tool and
    `settings` go with it as they are. `strict`: hold the model to the schema (`None`: the provider's default).
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    kind: Literal["function", "custom", "hosted"] = "function"
    grammar: Grammar | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    meta: Meta = field(default_factory=dict)


class NamedTool(Struct, frozen=True, tag="named", omit_defaults=True):
    """The model must call this tool."""

    name: str
    kind: Literal["function", "custom", "hosted"] = "function"


class AllowedTools(Struct, frozen=True, tag="allowed", omit_defaults=True):
    """The model may (`auto`) or must (`required`) call one of these tools, out of all that are given."""

    names: tuple[str, ...]
    mode: Literal["auto", "required"] = "auto"


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool | AllowedTools
