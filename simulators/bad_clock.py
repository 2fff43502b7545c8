"""The clocks of a machine whose true time is known: a quartz that drifts, hands that are set, a source that is lost.

The kernel's word is kept honest: it calls itself synchronised only while the wall clock is right within its bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import Kernel, KernelTime

if TYPE_CHECKING:
    from random import Random

NS_A_SECOND = 1_000_000_000
NEVER_SET_NS = 0
FAR_AHEAD_NS = 4_070_908_800 * NS_A_SECOND
"""2099."""
PPM_MAX = 400
"""A bad quartz, still inside the 500 ppm that terminals allow for."""


class BadClock(Kernel):
    """A kernel for `SystemClock`. Give it true time with `pass_true`; everything else is what can go wrong."""

    def __init__(self, *, true_ns: int, random: Random) -> None:
        self.true_ns = true_ns
        self._random = random
        self._boots = 0
        self._wall_less_boot_ns = 0
        self._boottime_ns = self._ppm = 0.0
        self.boot(wall_ns=NEVER_SET_NS)

    def __call__(self) -> KernelTime:
        """Say what the kernel would say."""
        boottime_ns = int(self._boottime_ns)
        return KernelTime(
            boottime_ns + self._wall_less_boot_ns, boottime_ns, self._synchronised, self._bound_ns // 1000 + 1
        )

    @property
    def boot_id(self) -> str:
        """Name the present boot."""
        return f"boot-{self._boots}"

    @property
    def wall_ns(self) -> int:
        """What the wall clock shows."""
        return int(self._boottime_ns) + self._wall_less_boot_ns

    def pass_true(self, seconds: float) -> None:
        """Let true time pass; the quartz counts it its own way."""
        passed_ns = int(seconds * NS_A_SECOND)
        self.true_ns += passed_ns
        self._boottime_ns += passed_ns * (1 + self._ppm / 1_000_000)
        if self._synchronised:
            self._wall_less_boot_ns = self.true_ns + self._off_ns - int(self._boottime_ns)
        self._ppm = self._random.uniform(-PPM_MAX, PPM_MAX)

    def boot(self, *, wall_ns: int) -> None:
        """Start anew; the wall clock begins where the battery, or its lack, says."""
        self._boots += 1
        self._boottime_ns = self._random.uniform(1, 20) * NS_A_SECOND
        self._ppm = self._random.uniform(-PPM_MAX, PPM_MAX)
        self._wall_less_boot_ns = wall_ns - int(self._boottime_ns)
        self.lose_source()

    def set_wall(self, wall_ns: int) -> None:
        """Set the hands; as in a real kernel, that ends the synchronisation."""
        self._wall_less_boot_ns = wall_ns - int(self._boottime_ns)
        self.lose_source()

    def find_source(self, *, bound_ns: int) -> None:
        """Synchronise: from now on the wall clock is within `bound_ns` of the truth, and the kernel says so."""
        self._bound_ns = bound_ns
        self._off_ns = self._random.randint(-bound_ns, bound_ns)
        self._wall_less_boot_ns = self.true_ns + self._off_ns - int(self._boottime_ns)
        self._synchronised = True

    def lose_source(self) -> None:
        """Run on alone."""
        self._synchronised, self._bound_ns, self._off_ns = False, 0, 0
