"""Types of every kind, at module level, where annotations can be read."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Literal, NotRequired, TypedDict

import msgspec


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Place(msgspec.Struct):
    """A place on the map."""

    name: str
    title: str = "none"
    unit: Unit = Unit.CELSIUS


class Trip(msgspec.Struct):
    """A way from place to place."""

    start: Place
    days: Annotated[int, msgspec.Meta(ge=1, description="how long")]
    stops: list[Place] = []
    notes: dict[str, str] | None = None


class Tree(msgspec.Struct):
    label: str
    children: list[Tree] = []


class Cat(msgspec.Struct, tag="cat"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog"):
    tricks: list[str] = []


class Owner(msgspec.Struct):
    pet: Cat | Dog


@dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list[str] = field(default_factory=list)


class Options(TypedDict):
    depth: int
    mode: NotRequired[Literal["fast", "slow"]]
