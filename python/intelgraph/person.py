"""Who is a person of one's own: names that look alike are one person's.

    person_of("Bob") == person_of("BOB ")

Whoever can get two names that a reader cannot tell apart would count as two. So what does not show as it is names
nobody (`names_a_person`), and persons are compared by what is left of their names once case, compatible forms and
whatever is invisible are gone. Erring that way counts too few. Letters of other scripts that only look the same
stay other letters: which names there are is the issuer's to decide.
"""

import re
import unicodedata
from typing import Final

# Of the Default_Ignorable_Code_Points of Unicode those that Python takes for printable: letters and marks.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def names_a_person(name: str) -> bool:
    """Whether the name shows as it is: one line without invisible characters, or blanks at an end."""
    return bool(name) and name.isprintable() and name == name.strip() and not _INVISIBLE.search(name)


def person_of(name: str) -> str:
    """By what the person of that name is told from others."""
    folded = unicodedata.normalize("NFD", name)
    for _ in range(2):  # as NFKC_Casefold of Unicode: a folded character may compose to one that folds again
        folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", folded).casefold())
    shown = (each if each.isprintable() else " " if each.isspace() else "" for each in folded)
    return " ".join("".join(shown).split())
