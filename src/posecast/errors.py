"""What a user can cause, told from what is wrong in our own code."""

import difflib
from collections.abc import Iterable, Sequence

_FEW = 20
"""Names that a message lists one by one."""


class PosecastError(ValueError):
    """Something that a user can mend: a file, a folder, a setting, an array.

    The message says what was wrong, what was got and expected, and how to mend it. The command
    line prints it without a traceback; any other error is a bug and shows where it happened.
    `flags` of the command line that help end the message; `text` is what others show.
    """

    def __init__(self, text: str, flags: str = "") -> None:
        super().__init__(text + flags)
        self.text = text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is nearly this one or begins so, for the end of a sentence; "." where
    none does."""
    word, names = word.lower(), {name.lower(): name for name in known}
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    near = difflib.get_close_matches(word, names, n=1) or begun
    return f"; did you mean {names[near[0]]!r}?" if near else "."


def check_names(names: Iterable[str], known: Sequence[str], noun: str, mend: str = "") -> None:
    """PosecastError for the first name that is not known, with one that is nearly it."""
    present = set(known)
    for name in names:
        if name not in present:
            hint = did_you_mean(name, known)
            there = ", ".join(known) if len(known) <= _FEW else f"{len(known)} {noun}s"
            raise PosecastError(f"unknown {noun} {name!r}{hint} Known: {there}{mend}")
