"""What the demo stands on: a folder held by one, ports, and a memory that says what to do when it cannot be used."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.demo import Demo, DemoOptions
from simulators.demo_ground import PORT_NAMES, DemoCannotRun, Ground, Memory, choose_ports
from simulators.demo_site import new_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that PostgreSQL can reach under root too, so that nothing is put elsewhere."""
    with tempfile.TemporaryDirectory(prefix="ccs-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_is_held_by_one_demo_at_a_time(place: Path) -> None:
    first, second = Ground(place / "demo"), Ground(place / "demo")
    first.take(fresh=False)
    with pytest.raises(DemoCannotRun, match=r"another demo \(process \d+\) runs in"):
        second.take(fresh=False)
    first.release()
    second.take(fresh=False)
    second.release()


def test_a_folder_with_something_else_in_it_is_never_emptied(place: Path) -> None:
    (place / "thesis.txt").write_text("precious")
    for fresh in (False, True):
        with pytest.raises(DemoCannotRun, match=r"holds something else than a demo \(thesis.txt\)"):
            Ground(place).take(fresh=fresh)
    assert (place / "thesis.txt").read_text() == "precious"


def test_fresh_forgets_and_keep_remembers(place: Path) -> None:
    ground = Ground(place / "demo")
    ground.take(fresh=False)
    memory = Memory(seed=3, workers=40, accounts=list(new_accounts()), ports={"web": 1234})
    memory.write(ground.memory_path)
    (ground.folder / "keys").mkdir()
    ground.release()
    ground.take(fresh=False)
    assert Memory.read(ground.memory_path) == memory
    ground.release()
    ground.take(fresh=True)
    assert Memory.read(ground.memory_path) is None
    assert not (ground.folder / "keys").exists()
    ground.release()


def test_a_broken_memory_is_explained(place: Path) -> None:
    (place / "demo.json").write_text("{")
    with pytest.raises(DemoCannotRun, match="start over with --fresh"):
        Memory.read(place / "demo.json")


def test_options_that_contradict_the_folder_are_refused_before_anything_starts(place: Path) -> None:
    folder = place / "demo"
    ground = Ground(folder)
    ground.take(fresh=False)
    Memory(seed=3, workers=40, accounts=list(new_accounts())).write(ground.memory_path)
    ground.release()
    demo = Demo(DemoOptions(data=folder, workers=50))
    with pytest.raises(DemoCannotRun, match="holds a demo with --workers 40, not 50: add --fresh"):
        demo.start()
    demo.stop()


def test_ports_asked_for_must_be_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoCannotRun, match=rf"port {port} \(for web\) is taken"):
            choose_ports({}, web_port=port)
        with pytest.raises(DemoCannotRun, match=r"is taken|does not exist"):
            choose_ports({}, port_base=port - 2)


def test_remembered_ports_are_kept_while_free_and_left_when_taken() -> None:
    before = choose_ports({})
    assert set(before) == set(PORT_NAMES)
    assert len(set(before.values())) == len(PORT_NAMES)
    assert choose_ports(before) == before
    with socket.create_server(("127.0.0.1", before["web"])):
        after = choose_ports(before)
    assert after["web"] != before["web"]
    assert {name: after[name] for name in PORT_NAMES[1:]} == {name: before[name] for name in PORT_NAMES[1:]}


@pytest.mark.parametrize(("base", "web"), [(70_000, None), (0, None), (20_000, 20_001)])
def test_ports_that_cannot_be_are_refused(base: int, web: int | None) -> None:
    with pytest.raises(DemoCannotRun):
        choose_ports({}, port_base=base, web_port=web)
