"""A provider in a box: a market and a server that speaks a provider's protocol."""

from __future__ import annotations

__all__: list[str] = []
