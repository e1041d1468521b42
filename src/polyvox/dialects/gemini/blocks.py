"""The wire's parts, both directions, in requests and answers alike.

The rule: members that no field of ours holds go back from `meta` as they came; a part of a kind that we have no word
for is an `OpaquePart`. What the provider's own tools did is an executed `ToolCall` and its `ToolResult`, which stay in
`meta` as they came, and go back so unless they were changed.
"""

from __future__ import annotations

from typing import Final

from polyvox.dialects._encoding import arguments_object
from polyvox.dialects._reading import JSONObject
from polyvox.dialects.gemini.fields import DIALECT, SIGNATURE, is_made, kept, make_id, marked, own, text_of
from polyvox.dialects.gemini.files import decode_file, encode_file
from polyvox.framing import json
from polyvox.types.parts import FilePart, OpaquePart, Part, ReasoningPart, TextPart, ToolCall, ToolResult

CODE: Final = "code_execution"
"""What we call the tool whose calls the wire names `executableCode`."""

# Members that say what a part is, the weightier first.
KINDS: Final = (
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "inlineData",
    "fileData",
    "text",
)
EXECUTED: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_BARE: Final = frozenset({"text", "thought", SIGNATURE})
_OUTCOME_OK: Final = ("OUTCOME_OK", 1, None)
_CALL: Final = ("id", "name", "args")
_RESPONSE: Final = ("id", "name", "response", "parts")


class Calls:
    """The calls read so far: of an answer, or of a conversation. It gives ids to those that came without."""

    __slots__ = ("_answer", "_code", "_count", "_waiting", "names")

    def __init__(self, answer: str | None = None) -> None:
        self._answer = answer
        self._count = 0
        self._code = ""  # the id of the last program
        self._waiting: list[str] = []  # calls without a result so far
        self.names: dict[str, str] = {}

    def take(self, given: str, name: str) -> str:
        """Return the id of a call."""
        place = self._count
        self._count += 1
        call = given or make_id(self._answer, place)
        self.names[call] = name
        self._waiting.append(call)
        return call

    def take_code(self, given: str) -> str:
        """Return the id of a program that the provider runs."""
        self._code = self.take(given, CODE)
        return self._code

    def answered_code(self, given: str) -> str:
        """Return the id of the program whose result this is."""
        return given or self._code or make_id(self._answer, "code")

    def answered(self, given: str, name: str) -> str:
        """Return the id of the call whose result this is: without one, of the first of its name that waits."""
        if not given:
            given = next((call for call in self._waiting if self.names[call] == name), "")
        if given in self._waiting:
            self._waiting.remove(given)
        return given or make_id(self._answer, f"result_{name}")


# wire → ours


def decode_part(block: JSONObject, calls: Calls, arguments: str | None = None) -> Part:
    """Return a part. `arguments` is a function call's as they were written, where that is known."""
    kind = next((kind for kind in KINDS if block.get(kind) is not None), "")
    held = block.get(kind)
    if not kind and SIGNATURE in block and block.keys() <= _BARE:
        kind, held = "text", ""  # a signature alone: the text it stands on is empty
    if kind == "text" and isinstance(held, str):
        meta = kept(block, ("text",))
        return ReasoningPart(held, meta=meta) if block.get("thought") is True else TextPart(held, meta=meta)
    if kind in ("inlineData", "fileData"):
        return decode_file(block) or _opaque(block)
    if isinstance(held, dict):
        match kind:
            case "functionCall":
                return _decode_call(block, held, calls, arguments)
            case "functionResponse":
                return _decode_response(block, held, calls)
            case "executableCode":
                said = json.encode({name: value for name, value in held.items() if name != "id"}).decode()
                name = calls.take_code(text_of(held, "id"))
                return ToolCall(name, CODE, said, executed=True, meta={DIALECT: block})
            case "codeExecutionResult":
                output = text_of(held, "output")
                name = calls.answered_code(text_of(held, "id"))
                failed = held.get("outcome") not in _OUTCOME_OK
                return ToolResult(name, CODE, (TextPart(output),) if output else (), failed, {DIALECT: block})
            case "toolCall":
                tool = text_of(held, "toolType")
                said = "" if held.get("args") is None else json.encode(held["args"]).decode()
                name = calls.take(text_of(held, "id"), tool)
                return ToolCall(name, tool, said, executed=True, meta={DIALECT: block})
            case "toolResponse":
                tool = text_of(held, "toolType")
                parts, failed = decode_outcome({"response": held.get("response")})
                name = calls.answered(text_of(held, "id"), tool)
                return ToolResult(name, tool, parts, failed, meta={DIALECT: block})
    return _opaque(block)


def _opaque(block: JSONObject) -> OpaquePart:
    named = next((name for name in block if name not in ("thought", SIGNATURE)), "")
    return OpaquePart(named or next(iter(block), "empty"), {DIALECT: dict(block)})


def _decode_call(block: JSONObject, held: JSONObject, calls: Calls, arguments: str | None) -> ToolCall:
    if arguments is None:
        given = held.get("args")
        arguments = "" if given is None else json.encode(given).decode()
    name = text_of(held, "name")
    return ToolCall(
        calls.take(text_of(held, "id"), name), name, arguments, meta=_meta(block, "functionCall", held, _CALL)
    )


def _meta(block: JSONObject, member: str, held: JSONObject, known: tuple[str, ...]) -> dict[str, JSONObject]:
    """Return the marks of a part, and those of the object that it is, under the object's name."""
    meta = kept(block, (member,))
    more = {name: value for name, value in held.items() if name not in known}
    return {DIALECT: {**own(meta), member: more}} if more else meta


def _decode_response(block: JSONObject, held: JSONObject, calls: Calls) -> ToolResult:
    name = text_of(held, "name")
    call = calls.answered(text_of(held, "id"), name)
    content, failed = decode_outcome(held)
    meta = _meta(block, "functionResponse", held, _RESPONSE)
    files = [encode_file(part, None) for part in content if isinstance(part, FilePart)]
    said = encode_outcome(content, failed, files)
    kept_so = {key: held[key] for key in ("response", "parts") if key in held and said.get(key) != held[key]}
    if kept_so:
        meta = {DIALECT: {**own(meta), "functionResponse": {**own(meta).get("functionResponse", {}), **kept_so}}}
    return ToolResult(call, name, content, failed, meta)


def decode_outcome(held: JSONObject) -> tuple[tuple[Part, ...], bool]:
    """Return what a function gave, as parts, and whether it failed: `output` and `error` are the wire's own words."""
    response, files = held.get("response"), held.get("parts")
    match response:
        case {"output": str(text), **others} if not others:
            parts, failed = [TextPart(text)] if text else [], False
        case {"error": str(text), **others} if not others:
            parts, failed = [TextPart(text)] if text else [], True
        case None:
            parts, failed = [], False
        case _:
            parts, failed = [TextPart(json.encode(response).decode())], False
    held_files = files if isinstance(files, list) else ()
    told = (decode_part(item, Calls()) if isinstance(item, dict) else OpaquePart("unknown") for item in held_files)
    return (*parts, *told), failed


# ours → wire: what requests and answers say alike


def encode_outcome(content: tuple[Part, ...], failed: bool, files: list[JSONObject] | None = None) -> JSONObject:
    """Return the members of a response that say what a function gave: its text, and its files where they go along."""
    text = "".join(part.text for part in content if isinstance(part, TextPart))
    said: JSONObject = {"response": {"error" if failed else "output": text}}
    if files:
        said["parts"] = files
    return said


def encode_text(part: TextPart) -> JSONObject:
    """Return a text's part."""
    return marked({"text": part.text}, part.meta)


def is_thought(part: ReasoningPart) -> bool:
    """Tell whether reasoning is a part of this wire, to be said again as it came."""
    marks = own(part.meta)
    return "thought" in marks or SIGNATURE in marks


def encode_thought(part: ReasoningPart) -> JSONObject:
    """Return a thought's part."""
    return marked({"text": part.text, "thought": True}, part.meta)


def encode_opaque(part: OpaquePart) -> JSONObject | None:
    """Return an opaque part, `None` for one of another wire."""
    return marked({}, part.meta) or None


def encode_call(call: ToolCall, *, call_ids: bool = True) -> JSONObject:
    """Return a call's part. An id that was made here is left out: the wire had none."""
    said: JSONObject = {}
    if call_ids and call.id and not is_made(call.id):
        said["id"] = call.id
    said["name"] = call.name
    if call.kind == "custom" or call.arguments.strip():
        said["args"] = arguments_object(call)[0]
    return with_more("functionCall", said, call.meta)


def with_more(member: str, said: JSONObject, meta: dict[str, JSONObject]) -> JSONObject:
    """Return the part that is `member`, with the marks of it and of the part."""
    marks = own(meta)
    more = marks.get(member)
    said = {**said, **more} if isinstance(more, dict) else said
    return marked({member: said}, {DIALECT: {name: mark for name, mark in marks.items() if name != member}})


def encode_executed_call(call: ToolCall) -> JSONObject | None:
    """Return the part of a call that the provider ran itself; `None` where it is of another wire."""
    marks = own(call.meta)
    kind = next((kind for kind in ("executableCode", "toolCall") if isinstance(marks.get(kind), dict)), None)
    if kind is None:
        return None
    block = marked({}, call.meta)
    was = decode_part(block, Calls())
    if isinstance(was, ToolCall) and was.arguments != call.arguments:
        changed = arguments_object(call)[0]
        block[kind] = {**block[kind], **(changed if kind == "executableCode" else {"args": changed})}
    return block


def encode_executed_result(result: ToolResult) -> JSONObject | None:
    """Return the part of what a provider's tool gave; `None` where it is of another wire."""
    marks = own(result.meta)
    kind = next((kind for kind in ("codeExecutionResult", "toolResponse") if isinstance(marks.get(kind), dict)), None)
    if kind is None:
        return None
    block = marked({}, result.meta)
    was = decode_part(block, Calls())
    if isinstance(was, ToolResult) and was.content != result.content:
        code = kind == "codeExecutionResult"
        said = {"output": result.text} if code else encode_outcome(result.content, result.is_error)
        block[kind] = {**block[kind], **said}
    return block


def is_sound_piece(part: FilePart) -> bool:
    """Tell whether a file is a piece of raw sound, which pieces of a stream go on with."""
    return part.media_type.lower().startswith(("audio/l16", "audio/pcm", "audio/l24"))
