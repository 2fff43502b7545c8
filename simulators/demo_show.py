"""What the demo's command line shows: the start, the addresses and sign-ins, the day passing, and what went wrong."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from simulators.demo import (
    Demo,
    DemoCannotRun,
    DemoOptions,
    ProgramDied,
    Reporter,
    ServerUnavailable,
)
from simulators.demo_site import TERMINAL_NAMES
from simulators.site_day import HOUR_S, clock_text
from simulators.stopping import deaf_to_signals, ending_on_signals

if TYPE_CHECKING:
    from rich.console import Console

TROUBLES_SHOWN_MAX = 20


class _Shown(Reporter):
    """Prints each step of the start, and the first troubles of the day."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._troubles = 0

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def step(self, sentence: str) -> None:
        self._console.print(f"[dim]{self._elapsed_s():5.1f} s[/] {sentence} …", highlight=False)

    def trouble(self, sentence: str) -> None:
        self._troubles += 1
        if self._troubles <= TROUBLES_SHOWN_MAX:
            self._console.print(f"[yellow]![/] {escape(sentence)}", highlight=False)


def run_demo(options: DemoOptions, console: Console, errors: Console) -> int:
    """Run a demo until Ctrl-C or until a part dies; return the process's exit status."""
    demo = Demo(options, _Shown(console))
    status = 0
    with ending_on_signals():
        try:
            demo.start()
            console.print(_addresses(demo), _sign_ins(demo), soft_wrap=True)
            console.print(f"Started in {demo.started_s:.1f} s. Ctrl-C stops everything.", highlight=False)
            _play(demo, console)
        except KeyboardInterrupt:
            console.print("\nStopping …")
        except (DemoCannotRun, ServerUnavailable, ProgramDied, TimeoutError) as exc:
            errors.print(f"[bold red]✗[/] {escape(str(exc))}", highlight=False, soft_wrap=True)
            status = 1
        finally:
            with deaf_to_signals():
                demo.stop()
    if status == 0:
        console.print(f"Stopped. The data stays in {options.data}: the next start goes on from here.", highlight=False)
    return status


def _addresses(demo: Demo) -> Table:
    table = Table(title="현장 시연 · The demo site", title_justify="left")
    table.add_column("보기 See")
    table.add_column("주소 Address", no_wrap=True)
    table.add_row("현장 인원 Headcount", demo.links["headcount"])
    table.add_row("카드 대기 Hold a card", demo.hand_url)
    table.add_row("작업자 휴대전화 A worker's phone", demo.links["worker"])
    for code, name in TERMINAL_NAMES.items():
        table.add_row(name, demo.links[code])
    return table


def _sign_ins(demo: Demo) -> Table:
    table = Table(title="로그인 · Sign in", title_justify="left")
    for heading in ("누구 Who", "이메일 E-mail", "비밀번호 Password"):
        table.add_column(heading, no_wrap=True)
    for account in demo.memory.accounts:
        table.add_row(account.name, account.email, account.password)
    return table


def _play(demo: Demo, console: Console) -> None:
    if not console.is_terminal:
        lines = _Lines(console)
        demo.run(lines.show)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(demo.player.day.taps), more="")

        def show(demo: Demo) -> None:
            progress.update(task, description=_clock(demo), completed=demo.player.log.next_index, more=_state(demo))

        demo.run(show)


def _clock(demo: Demo) -> str:
    player = demo.player
    if not demo.options.play:
        return "by hand"
    return f"day {player.log.day} {'over' if player.finished.is_set() else clock_text(player.story_s)}"


def _state(demo: Demo) -> str:
    """Say what was tapped, what the terminals took for it, and whether central's headcount is the right one."""
    log, watch = demo.player.log, demo.watch_state
    right = len(log.answer().inside)
    took = [tap.took_ms for tap in list(log.recent)]
    speed = f", answered in {statistics.median(took):.1f} ms" if took else ""
    if watch.inside is None:
        seen = f"headcount: {watch.problem or 'not asked yet'}"
    else:
        mark = "✓" if watch.inside == right else "…"
        seen = f"headcount {watch.inside} inside, right answer {right} {mark}"
    return f"{log.count} taps{speed} · {seen}"


class _Lines:
    """For a log instead of a terminal: one line every story hour, and one when the day is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def show(self, demo: Demo) -> None:
        over = demo.player.finished.is_set()
        settled = demo.watch_state.inside == len(demo.player.log.answer().inside)
        mark = (
            f"over, settled: {settled}"
            if over
            else str(int(demo.player.story_s // HOUR_S) if demo.options.play else "by hand")
        )
        if mark != self._said:
            self._said = mark
            self._console.print(f"{_clock(demo)}  {_state(demo)}", highlight=False, soft_wrap=True)
