"""Whether the warm cluster that a run uses is still kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayflow.executors.warm import WarmCluster

_LOOK_S = 1.0


@dataclass(eq=False)
class Watch:
    """Looks every second: Ray itself would end this very process a minute after the cluster's death."""

    _looked: float = 0.0

    def sees(self, warm: WarmCluster) -> bool:
        """Whether the cluster was kept at the last look."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return True
        self._looked = now
        return warm.is_kept
