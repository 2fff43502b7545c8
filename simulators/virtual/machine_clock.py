"""A terminal's hardware clocks: a quartz that drifts, and a wall clock that is set, jumps and forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import KernelTime
from simulators.virtual.world import STARTS_US

if TYPE_CHECKING:
    from simulators.virtual.world import World

NS_A_US = 1_000
DRIFT_PPM_MAX = 100
"""A poor quartz; the agent reckons with five times as much."""
SYNC_ERROR_US = 20_000
"""How far off a synchronised clock is at most …"""
SYNC_BOUND_US = 50_000
"""… and what the kernel says of it."""
YEAR_US = 365 * 86_400 * 1_000_000
RTC_ERROR_US = 5_000_000


class MachineClock:
    """Stands in for `edge_agent.clock.Kernel`. The true time is the world's."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._chance = world.chance(f"clock {name}")
        self._boots = 0
        self._name = name
        self.boot_id = ""
        self.synced = True
        self._drift_ppm = self._chance.uniform(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)
        self._offset_us = 0
        self._since_us = 0
        self._booted_us = 0

    def boot(self, *, synced: bool, wrong: bool) -> None:
        """Start anew: boot clock at zero, wall clock from the network, from a fair hardware clock, or from nowhere."""
        self._boots += 1
        self.boot_id = f"{self._name}-boot-{self._boots}"
        self._booted_us = self._world.now_us
        if wrong:
            self.jump()
        elif synced:
            self.synchronise()
        else:
            self._set(self._chance.randint(-RTC_ERROR_US, RTC_ERROR_US))
            self.synced = False

    def synchronise(self) -> None:
        """The network time arrives."""
        self._set(self._chance.randint(-SYNC_ERROR_US, SYNC_ERROR_US))
        self.synced = True

    def lose_network_time(self) -> None:
        """From now on only the quartz counts."""
        self._set(self._offset())
        self.synced = False

    def jump(self) -> None:
        """Somebody or something sets the clock wrongly: by minutes, by years, to 1970 or to 2099."""
        kind = self._chance.choice(("minutes", "hours", "years", "1970", "2099"))
        us = {
            "minutes": self._chance.randint(-30, 30) * 60_000_000,
            "hours": self._chance.randint(-30, 30) * 3_600_000_000,
            "years": self._chance.randint(-5, 5) * YEAR_US,
            "1970": -57 * YEAR_US,
            "2099": 73 * YEAR_US,
        }[kind]
        self._set(us)
        self.synced = False
        self._world.saw(f"clock {kind}")

    def _set(self, offset_us: int) -> None:
        self._offset_us, self._since_us = offset_us, self._world.now_us

    def _offset(self) -> int:
        elapsed = self._world.now_us - self._since_us
        return self._offset_us + (0 if self.synced else int(elapsed * self._drift_ppm / 1e6))

    def __call__(self) -> KernelTime:
        """Read the clocks as the kernel would."""
        world = self._world
        running = world.now_us - self._booted_us
        boottime_us = running + int(running * self._drift_ppm / 1e6)
        wall_us = STARTS_US + world.now_us + self._offset()
        return KernelTime(wall_us * NS_A_US, boottime_us * NS_A_US, self.synced, SYNC_BOUND_US)
