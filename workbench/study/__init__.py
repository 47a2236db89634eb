"""Studies: tables from a window of bars, in which nothing is written back in time."""

from __future__ import annotations

from workbench.study.alignment import alignment, comparison
from workbench.study.blocks import order_blocks
from workbench.study.catalogue import CATALOGUE, studies, study
from workbench.study.gaps import fair_value_gaps
from workbench.study.liquidity import liquidity
from workbench.study.profile import profile
from workbench.study.structure import structure
from workbench.study.study import Checkpoint, Study, StudyRun
from workbench.study.trend import trend
from workbench.study.volume import Profile, profile_of

__all__ = [
    "CATALOGUE",
    "Checkpoint",
    "Profile",
    "Study",
    "StudyRun",
    "alignment",
    "comparison",
    "fair_value_gaps",
    "liquidity",
    "order_blocks",
    "profile",
    "profile_of",
    "structure",
    "studies",
    "study",
    "trend",
]
