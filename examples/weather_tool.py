"""Let a model call a Python function, and run the calls it makes until it has its answer.

python examples/weather_tool.py [MODEL]
"""

from __future__ import annotations

import sys

from polyvox import Client, TextPart, ToolResult, tool, user


def get_weather(city: str, day: str = "today") -> str:
    """Return the weather of a city on a day."""
    return f"12 °C and rain in {city} {day}"


model = Client().model(sys.argv[1] if len(sys.argv) > 1 else "openai/gpt-5.5", tools=[get_weather])
messages = [user("Do I need an umbrella in Lisbon?")]
for _ in range(4):
    reply = model.generate(messages)
    messages.append(reply.message)
    if not reply.tool_calls:
        break
    results = []
    for call in reply.tool_calls:
        print(f"[{call.name} {call.arguments}]")
        results.append(ToolResult(call.id, call.name, (TextPart(get_weather(**call.decode())),)))
    messages.append(tool(results))
print(reply.text)
