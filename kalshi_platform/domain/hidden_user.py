"""Addresses as messages show them: the user and the password before the last ``@`` are hidden.

Why        who writes a password into an address sees it again in every refusal, log and ticket.
Invariant  scheme and host stay: ``redis://me:secret@host:6379`` is shown as ``redis://...@host:6379``.
Not        whether an address may hold a user: who takes the address decides that.
"""

import re
from typing import Final

HIDDEN: Final = "..."
#: Scheme of an address with all that follows up to the last ``@``: a password may hold slashes and more.
_BEFORE_HOST: Final = re.compile(r"(?s)\A(\w[\w+.-]*:/+)?.*@")
#: Users within a text, up to the next slash: what follows it may be a path that holds an ``@`` by right. A
#: path made of an address has one of its two slashes left.
_USER: Final = re.compile(r"(:/{1,2})[^/\s]*@")
#: A user and a password within a text, which may hold slashes. A port is none, though a path with an ``@``
#: may follow it. The user ends at the first colon, so that a text of colons is read once.
_PASSWORD: Final = re.compile(r"(:/{1,2})[^/\s?#@\[:]*:(?!\d+(?:[/?#'\"),;:]|$))[^\s]*@")


def shown_address(address: str) -> str:
    """``address`` with all that stands between its scheme and the last ``@`` hidden."""
    return _BEFORE_HOST.sub(lambda found: f"{found[1] or ''}{HIDDEN}@", address)


def without_users(text: str) -> str:
    """``text`` with the user and the password of every address in it hidden."""
    hidden = rf"\g<1>{HIDDEN}@"
    return _USER.sub(hidden, _PASSWORD.sub(hidden, text))


def holds_password(text: str) -> bool:
    """True where an address in ``text`` has a user and a password."""
    return _PASSWORD.search(text) is not None
