"""Polyvox: one interface to every large-language-model provider.

    from polyvox import Client

    client = Client()
    reply = client.generate("openai/gpt-5.5", "Why is the sky blue?")
    print(reply.text)

The rule: importing this package loads no HTTP library; each public name is loaded on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from polyvox.calls.budget import Budget as Budget
    from polyvox.calls.cache import Cache as Cache
    from polyvox.calls.cache import MemoryStore as MemoryStore
    from polyvox.calls.cache_redis import RedisStore as RedisStore
    from polyvox.calls.cache_sqlite import SQLiteStore as SQLiteStore
    from polyvox.calls.coalesce import Coalesce as Coalesce
    from polyvox.calls.config import CallConfig as CallConfig
    from polyvox.calls.estimate import PriceBound as PriceBound
    from polyvox.calls.facts import CacheErrorFact as CacheErrorFact
    from polyvox.calls.facts import CacheFact as CacheFact
    from polyvox.calls.facts import CircuitFact as CircuitFact
    from polyvox.calls.facts import FallbackFact as FallbackFact
    from polyvox.calls.facts import HedgeFact as HedgeFact
    from polyvox.calls.facts import LimitFact as LimitFact
    from polyvox.calls.facts import RetryFact as RetryFact
    from polyvox.calls.fallback import Fallback as Fallback
    from polyvox.calls.hedge import Hedge as Hedge
    from polyvox.calls.hooks import Callbacks as Callbacks
    from polyvox.calls.queue import QueueEvent as QueueEvent
    from polyvox.calls.redact import Redact as Redact
    from polyvox.calls.retry import Retry as Retry
    from polyvox.calls.telemetry import Telemetry as Telemetry
    from polyvox.calls.think_tags import ThinkTags as ThinkTags
    from polyvox.client.clients import AsyncClient as AsyncClient
    from polyvox.client.clients import AsyncModel as AsyncModel
    from polyvox.client.clients import Client as Client
    from polyvox.client.clients import Model as Model
    from polyvox.client.default import generate as generate
    from polyvox.client.default import stream as stream
    from polyvox.client.explain import Explanation as Explanation
    from polyvox.client.queue import AsyncStreamQueue as AsyncStreamQueue
    from polyvox.client.queue import StreamQueue as StreamQueue
    from polyvox.client.streams import AsyncStream as AsyncStream
    from polyvox.client.streams import Stream as Stream
    from polyvox.errors import AuthenticationError as AuthenticationError
    from polyvox.errors import BadRequestError as BadRequestError
    from polyvox.errors import BillingError as BillingError
    from polyvox.errors import CallTimeoutError as CallTimeoutError
    from polyvox.errors import Cancelled as Cancelled
    from polyvox.errors import ConfigError as ConfigError
    from polyvox.errors import ConflictError as ConflictError
    from polyvox.errors import ConnectError as ConnectError
    from polyvox.errors import ContentPolicyError as ContentPolicyError
    from polyvox.errors import ContextLengthError as ContextLengthError
    from polyvox.errors import DecodeError as DecodeError
    from polyvox.errors import InterruptedCallError as InterruptedCallError
    from polyvox.errors import LimitError as LimitError
    from polyvox.errors import NotFoundError as NotFoundError
    from polyvox.errors import OverloadedError as OverloadedError
    from polyvox.errors import PermissionDeniedError as PermissionDeniedError
    from polyvox.errors import PolyvoxError as PolyvoxError
    from polyvox.errors import ProviderError as ProviderError
    from polyvox.errors import RateLimitError as RateLimitError
    from polyvox.errors import ServerError as ServerError
    from polyvox.errors import TooLargeError as TooLargeError
    from polyvox.errors import TransportError as TransportError
    from polyvox.errors import UnsupportedError as UnsupportedError
    from polyvox.io.base import Cancel as Cancel
    from polyvox.io.base import HttpRequest as HttpRequest
    from polyvox.registry.config import Config as Config
    from polyvox.registry.config import EndpointConfig as EndpointConfig
    from polyvox.registry.config import ModelOverride as ModelOverride
    from polyvox.registry.config import ProviderConfig as ProviderConfig
    from polyvox.registry.known import ConfiguredProvider as ConfiguredProvider
    from polyvox.registry.known import ProviderCapabilities as ProviderCapabilities
    from polyvox.secrets import Secret as Secret
    from polyvox.types.events import Event as Event
    from polyvox.types.events import FileDelta as FileDelta
    from polyvox.types.events import PartEnd as PartEnd
    from polyvox.types.events import PartStart as PartStart
    from polyvox.types.events import RawFrame as RawFrame
    from polyvox.types.events import ReasoningDelta as ReasoningDelta
    from polyvox.types.events import SourceDelta as SourceDelta
    from polyvox.types.events import StreamEnd as StreamEnd
    from polyvox.types.events import StreamStart as StreamStart
    from polyvox.types.events import TextDelta as TextDelta
    from polyvox.types.events import ToolCallDelta as ToolCallDelta
    from polyvox.types.events import UsageUpdate as UsageUpdate
    from polyvox.types.generate import Adjustment as Adjustment
    from polyvox.types.generate import Alternative as Alternative
    from polyvox.types.generate import AudioOutput as AudioOutput
    from polyvox.types.generate import Finish as Finish
    from polyvox.types.generate import GenerateRequest as GenerateRequest
    from polyvox.types.generate import GenerateResponse as GenerateResponse
    from polyvox.types.generate import Output as Output
    from polyvox.types.generate import PromptCache as PromptCache
    from polyvox.types.messages import Message as Message
    from polyvox.types.messages import assistant as assistant
    from polyvox.types.messages import system as system
    from polyvox.types.messages import tool as tool
    from polyvox.types.messages import user as user
    from polyvox.types.models import ListedModel as ListedModel
    from polyvox.types.models import ModelConfig as ModelConfig
    from polyvox.types.models import Price as Price
    from polyvox.types.models import Timeout as Timeout
    from polyvox.types.parts import FileId as FileId
    from polyvox.types.parts import FilePart as FilePart
    from polyvox.types.parts import OpaquePart as OpaquePart
    from polyvox.types.parts import ReasoningPart as ReasoningPart
    from polyvox.types.parts import Source as Source
    from polyvox.types.parts import SourcePart as SourcePart
    from polyvox.types.parts import TextPart as TextPart
    from polyvox.types.parts import ToolCall as ToolCall
    from polyvox.types.parts import ToolResult as ToolResult
    from polyvox.types.parts import Url as Url
    from polyvox.types.policies import Balance as Balance
    from polyvox.types.policies import Breaker as Breaker
    from polyvox.types.policies import RateLimit as RateLimit
    from polyvox.types.tools import AllowedTools as AllowedTools
    from polyvox.types.tools import NamedTool as NamedTool
    from polyvox.types.tools import Tool as Tool
    from polyvox.types.usage import Attempt as Attempt
    from polyvox.types.usage import Cost as Cost
    from polyvox.types.usage import RateLimits as RateLimits
    from polyvox.types.usage import Timing as Timing
    from polyvox.types.usage import Usage as Usage

_HOMES: dict[str, tuple[str, ...]] = {
    "calls.budget": ("Budget",),
    "calls.cache": ("Cache", "MemoryStore"),
    "calls.cache_redis": ("RedisStore",),
    "calls.cache_sqlite": ("SQLiteStore",),
    "calls.coalesce": ("Coalesce",),
    "calls.config": ("CallConfig",),
    "calls.estimate": ("PriceBound",),
    "calls.facts": (
        "CacheErrorFact",
        "CacheFact",
        "CircuitFact",
        "FallbackFact",
        "HedgeFact",
        "LimitFact",
        "RetryFact",
    ),
    "calls.fallback": ("Fallback",),
    "calls.hedge": ("Hedge",),
    "calls.hooks": ("Callbacks",),
    "calls.queue": ("QueueEvent",),
    "calls.redact": ("Redact",),
    "calls.retry": ("Retry",),
    "calls.telemetry": ("Telemetry",),
    "calls.think_tags": ("ThinkTags",),
    "client.clients": ("AsyncClient", "AsyncModel", "Client", "Model"),
    "client.default": ("generate", "stream"),
    "client.explain": ("Explanation",),
    "client.queue": ("AsyncStreamQueue", "StreamQueue"),
    "client.streams": ("AsyncStream", "Stream"),
    "errors": (
        "AuthenticationError",
        "BadRequestError",
        "BillingError",
        "CallTimeoutError",
        "Cancelled",
        "ConfigError",
        "ConflictError",
        "ConnectError",
        "ContentPolicyError",
        "ContextLengthError",
        "DecodeError",
        "InterruptedCallError",
        "LimitError",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PolyvoxError",
        "ProviderError",
        "RateLimitError",
        "ServerError",
        "TooLargeError",
        "TransportError",
        "UnsupportedError",
    ),
    "io.base": ("Cancel", "HttpRequest"),
    "registry.config": ("Config", "EndpointConfig", "ModelOverride", "ProviderConfig"),
    "registry.known": ("ConfiguredProvider", "ProviderCapabilities"),
    "secrets": ("Secret",),
    "types.events": (
        "Event",
        "FileDelta",
        "PartEnd",
        "PartStart",
        "RawFrame",
        "ReasoningDelta",
        "SourceDelta",
        "StreamEnd",
        "StreamStart",
        "TextDelta",
        "ToolCallDelta",
        "UsageUpdate",
    ),
    "types.generate": (
        "Adjustment",
        "Alternative",
        "AudioOutput",
        "Finish",
        "GenerateRequest",
        "GenerateResponse",
        "Output",
        "PromptCache",
    ),
    "types.messages": ("Message", "assistant", "system", "tool", "user"),
    "types.models": ("ListedModel", "ModelConfig", "Price", "Timeout"),
    "types.parts": (
        "FileId",
        "FilePart",
        "OpaquePart",
        "ReasoningPart",
        "Source",
        "SourcePart",
        "TextPart",
        "ToolCall",
        "ToolResult",
        "Url",
    ),
    "types.policies": ("Balance", "Breaker", "RateLimit"),
    "types.tools": ("AllowedTools", "NamedTool", "Tool"),
    "types.usage": ("Attempt", "Cost", "RateLimits", "Timing", "Usage"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Adjustment",
    "AllowedTools",
    "Alternative",
    "AsyncClient",
    "AsyncModel",
    "AsyncStream",
    "AsyncStreamQueue",
    "Attempt",
    "AudioOutput",
    "AuthenticationError",
    "BadRequestError",
    "Balance",
    "BillingError",
    "Breaker",
    "Budget",
    "Cache",
    "CacheErrorFact",
    "CacheFact",
    "CallConfig",
    "CallTimeoutError",
    "Callbacks",
    "Cancel",
    "Cancelled",
    "CircuitFact",
    "Client",
    "Coalesce",
    "Config",
    "ConfigError",
    "ConfiguredProvider",
    "ConflictError",
    "ConnectError",
    "ContentPolicyError",
    "ContextLengthError",
    "Cost",
    "DecodeError",
    "EndpointConfig",
    "Event",
    "Explanation",
    "Fallback",
    "FallbackFact",
    "FileDelta",
    "FileId",
    "FilePart",
    "Finish",
    "GenerateRequest",
    "GenerateResponse",
    "Hedge",
    "HedgeFact",
    "HttpRequest",
    "InterruptedCallError",
    "LimitError",
    "LimitFact",
    "ListedModel",
    "MemoryStore",
    "Message",
    "Model",
    "ModelConfig",
    "ModelOverride",
    "NamedTool",
    "NotFoundError",
    "OpaquePart",
    "Output",
    "OverloadedError",
    "PartEnd",
    "PartStart",
    "PermissionDeniedError",
    "PolyvoxError",
    "Price",
    "PriceBound",
    "PromptCache",
    "ProviderCapabilities",
    "ProviderConfig",
    "ProviderError",
    "QueueEvent",
    "RateLimit",
    "RateLimitError",
    "RateLimits",
    "RawFrame",
    "ReasoningDelta",
    "ReasoningPart",
    "Redact",
    "RedisStore",
    "Retry",
    "RetryFact",
    "SQLiteStore",
    "Secret",
    "ServerError",
    "Source",
    "SourceDelta",
    "SourcePart",
    "Stream",
    "StreamEnd",
    "StreamQueue",
    "StreamStart",
    "Telemetry",
    "TextDelta",
    "TextPart",
    "ThinkTags",
    "Timeout",
    "Timing",
    "TooLargeError",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "TransportError",
    "UnsupportedError",
    "Url",
    "Usage",
    "UsageUpdate",
    "__version__",
    "assistant",
    "generate",
    "stream",
    "system",
    "tool",
    "user",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'polyvox' has no attribute {name!r}")
    value = getattr(import_module(f"polyvox.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
