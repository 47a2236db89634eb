"""Where records are kept: the contract, the embedded default, and the thread that writes."""

__all__: list[str] = []
