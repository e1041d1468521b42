"""Types and functions ↔ JSON Schema: what a model is told of a type, and what is made of its answer.

The rule: a schema says no more than the type does, names nothing that is not in it (references stand only where a type
holds itself), and is not bound to one vendor; `strict_schema` is the form that OpenAI's strict mode asks for.
"""

from __future__ import annotations

from polyvox.schema.answer import decode_as as decode_as
from polyvox.schema.document import schema_of as schema_of
from polyvox.schema.function import tool_from_function as tool_from_function
from polyvox.schema.strict import strict_schema as strict_schema
