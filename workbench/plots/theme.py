"""The colours of charts and pages, in dark and in light."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["CURVES", "DARK", "LIGHT", "Theme", "theme"]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one appearance, as CSS writes them.

    Attributes
    ----------
    name : str
        "dark" or "light".
    background, card, panel, border : str
        Behind the chart; behind fields and chosen rows; behind tags; lines between them.
    grid, text, muted : str
        Grid lines, text, and text of less weight.
    up, down : str
        Bars and changes that rise or fall.
    cross, accent, amber : str
        The crosshair, what is chosen, and what needs attention.
    """

    name: str
    background: str
    card: str
    panel: str
    border: str
    grid: str
    text: str
    muted: str
    up: str
    down: str
    cross: str
    accent: str
    amber: str

    def tokens(self) -> dict[str, str]:
        """Return the colours by name, for the page."""
        return asdict(self)


DARK = Theme(
    name="dark",
    background="#11151d",
    card="#1a202b",
    panel="#2b3240",
    border="#262c38",
    grid="#1c222d",
    text="#d5d9e2",
    muted="#8b93a3",
    up="#22ab94",
    down="#f2495c",
    cross="#7d8697",
    accent="#5b93ff",
    amber="#e9a23b",
)
LIGHT = Theme(
    name="light",
    background="#ffffff",
    card="#f6f7f9",
    panel="#eceff4",
    border="#dfe3ea",
    grid="#f0f2f6",
    text="#1a2130",
    muted="#667085",
    up="#0b9a82",
    down="#e5384f",
    cross="#98a1b2",
    accent="#2f6be0",
    amber="#b26b00",
)

#: Colours of overlay curves in order of their addition; readable on both backgrounds.
CURVES = ("#e8a13a", "#4c8dff", "#b46be0", "#20b2c9", "#e0679a", "#8aa84b", "#d9704a", "#7c83e8")


def theme(dark: bool) -> Theme:
    """Return the colours for a dark or a light page.

    >>> theme(True).name, theme(False).name
    ('dark', 'light')
    """
    return DARK if dark else LIGHT
