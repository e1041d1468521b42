"""What a program holds: `Client` and `AsyncClient`, their streams, their bound models, their configuration."""
