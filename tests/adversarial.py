"""Texts of any size that have made parsers take the square of their length, and a check that ours do not."""

import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

SPACES = ["\n", " ", "\t", "\r\n", "\n \n", "\n\n", "a\n\n", "\x00", "\u200b"]
TURNS = ["a:\n\n", "A: b\n\n", "\n\nHuman:", "\n\nHuman: a\n\nAssistant: b", "中：", "a "]
FORMULAS = ["\\[", "\\(", "$$", "$", "$a ", "$ a", "$$a$ ", "\\[a\\)", "\ue000", "&#xE000;0&#xE001;"]
MARKDOWN = [
    *("[", "]", "![", "[a](", "[a](<b", "[a][", "[a]: b\n", "[a]: b '\n", "[a]: <b\n", "[[]]("),
    *("*", "_", "**a ", "*a_ ", "a**b", "*[", "x*", "~~a ", "`", "`a``b```", "<", "<a", "<!--", "<![CDATA[", "<div>"),
    *(
        "&",
        "&amp",
        "&#",
        ">",
        "> ",
        "> - ",
        "- ",
        " - a\n",
        "- a\n\n",
        "1. ",
        "# a\n",
        "#",
        "a\n=\n",
        "```\n",
        "    a\n",
    ),
    *("|", "|-", "a|b\n", "|a\n|-\n", "a  \n", "<http://a>", "<a@b.c>", "\\", '"', "'", "\\a"),
]
NUMBERS = [
    "a@",
    "a@aa.",
    "a.a-a+",
    "1 ",
    "12-",
    "0 1",
    "+1 ",
    "4111 1111 ",
    "DE12 ",
    "DE12 3456 ",
    "(0)1/",
    "1.",
    "1)\n",
]
MARKS = ["\u0300\u0316", "\u0344", "\ufdfa", "👩\u200d", "中", "a_", "aB", "{", '{"a":', "x" * 10]
REPEATED = [*SPACES, *TURNS, *FORMULAS, *MARKDOWN, *NUMBERS, *MARKS]
SIZES = (10_000, 100_000, 1_000_000)
# A text of twice the length may take SLACK times as long as twice the time; below FLOOR seconds nothing is compared.
SLACK, FLOOR = 4, 0.5
# A case that takes the square of 1,000,000 characters would never end.
GIVE_UP = 120


def text_of(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def too_slow(seconds: Sequence[float], sizes: Sequence[int]) -> bool:
    """Return whether the time grows faster than the texts, by far."""
    pairs = pairwise(zip(seconds, sizes, strict=True))
    return any(after > FLOOR + SLACK * before * size / smaller for (before, smaller), (after, size) in pairs)


def slow_units(work: Callable[[str], object], units: list[str] = REPEATED, sizes: tuple[int, ...] = SIZES) -> list[str]:
    """Return what is wrong with the units whose repetition takes `work` more than linear time.

    A busy machine makes some measurement slow; what is slow is slow twice.
    """
    suspected = _measured(work, units, sizes)
    return list(_measured(work, list(suspected), sizes).values()) if suspected else []


def _measured(work: Callable[[str], object], units: list[str], sizes: tuple[int, ...]) -> dict[str, str]:
    """Return the units that take too long, each with how long.

    All of it happens in a process of its own, which is ended at the first unit that takes too long.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(work, units, sizes, there), daemon=True)
    process.start()
    there.close()
    slow = dict.fromkeys(units, "not measured")
    for unit in units:
        if not here.poll(GIVE_UP):
            slow[unit] = f"{unit!r}: no end"
            break
        try:
            seconds = here.recv()
        except EOFError:
            slow[unit] = f"{unit!r}: the process ended"
            break
        slow.pop(unit, None)
        if too_slow(seconds, sizes):
            slow[unit] = f"{unit!r}: {', '.join(f'{s:.2f}' for s in seconds)} s"
    process.kill()
    process.join()
    return slow


def _measure(work: Callable[[str], object], units: list[str], sizes: tuple[int, ...], answer) -> None:
    gc.freeze()  # whatever the tests before have left in memory is not collected again and again
    for unit in units:
        seconds = []
        for size in sizes:
            text = text_of(unit, size)
            start = time.process_time()
            work(text)
            seconds.append(time.process_time() - start)
        answer.send(seconds)
