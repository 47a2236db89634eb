"""All studies by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import pandas as pd

from workbench.errors import ConfigError
from workbench.study.blocks import BLOCKS
from workbench.study.gaps import GAPS
from workbench.study.liquidity import LIQUIDITY
from workbench.study.profile import PROFILE
from workbench.study.spec import Spec
from workbench.study.structure import STRUCTURE
from workbench.study.study import Study
from workbench.study.trend import TREND

__all__ = ["CATALOGUE", "studies", "study"]

#: All studies by name.
CATALOGUE: dict[str, Spec] = {
    spec.name: spec for spec in (STRUCTURE, TREND, PROFILE, BLOCKS, GAPS, LIQUIDITY)
}


def study(name: str, **parameters: Any) -> Study:
    """Return a study by name.

    Parameters
    ----------
    name : str
        As in :func:`studies`.
    **parameters
        Its parameters; those left out take their default.

    Raises
    ------
    ConfigError
        If there is no such study, with the nearest names, or a parameter is unknown or out
        of range.

    Examples
    --------
    >>> study("trend", length=20)
    trend(length=20, alpha=0.05)
    >>> study("trent")
    Traceback (most recent call last):
        ...
    workbench.errors.ConfigError: no study 'trent'; did you mean trend?
    """
    spec = CATALOGUE.get(str(name).lower())
    if spec is None:
        near = get_close_matches(str(name).lower(), CATALOGUE, 3, 0.5) or sorted(CATALOGUE)
        raise ConfigError(f"no study {name!r}; did you mean {' or '.join(near)}?")
    return Study(spec, parameters)


def studies() -> pd.DataFrame:
    """Return the catalogue: every study with its parameters and their ranges.

    Returns
    -------
    pandas.DataFrame
        Indexed by name: title, parameters ("length=15 (3 to 5000)"), columns, text, source.

    Examples
    --------
    >>> studies().loc["trend", "parameters"]
    'length=15 (3 to 5000), alpha=0.05 (0 to 1)'
    """
    rows = [
        {
            "name": spec.name,
            "title": spec.title,
            "parameters": ", ".join(
                f"{name}={p.default} ({p.allowed})" for name, p in spec.parameters.items()
            ),
            "columns": ", ".join(spec.shown),
            "text": spec.text,
            "source": spec.source,
        }
        for spec in CATALOGUE.values()
    ]
    return pd.DataFrame(rows).set_index("name")
