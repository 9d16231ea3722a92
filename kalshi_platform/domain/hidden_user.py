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
#: Beginning of an address within a text. A path made of an address has one of its two slashes left; without a
#: known scheme, one slash behind a colon stands in lists of folders.
_SCHEME: Final = (
    r"(://|\b(?i:s3|gs|https?|ftps?|wss?|rediss?|postgres(?:ql)?|mysql|mongodb|amqps?)(?:\+\w+)?:/(?!/))"
)
#: User before a password. It ends at the first colon, so that a text of colons is read once.
_NAME: Final = r"[^/\s?#@\[:]*:"
#: All of a word up to its last ``@``: what the next three patterns read ends in one, so each reads it once.
_UP_TO_AT: Final = re.compile(r"(?<!\S)\S*@")
#: Users, up to the next slash: what follows it may be a path that holds an ``@`` by right.
_USER: Final = re.compile(rf"{_SCHEME}[^/]*@")
#: A user and a password, which may hold slashes. A port is none, though a path with an ``@`` may follow it.
_PASSWORD: Final = re.compile(rf"{_SCHEME}{_NAME}(?!\d+[/?#]).*@")
#: The same, where a password of digits and a slash must not pass for a port: an ``@`` follows anyway.
_ANY_PASSWORD: Final = re.compile(rf"://{_NAME}")
#: Address whose host, or whose ``@`` behind a user, lies beyond the end of the text.
_CUT: Final = re.compile(rf"{_SCHEME}(?:[^/\s]*|{_NAME}\S*)\Z")


def shown_address(address: str) -> str:
    """``address`` with all that stands between its scheme and the last ``@`` hidden."""
    return _BEFORE_HOST.sub(lambda found: f"{found[1] or ''}{HIDDEN}@", address)


def without_users(text: str) -> str:
    """``text`` with the user and the password of every address in it hidden."""
    return _UP_TO_AT.sub(lambda found: _hidden(found[0]), text)


def beginning_without_users(text: str, chars: int) -> str:
    """First ``chars`` of ``text`` without users; it ends at the scheme of an address that goes on beyond."""
    hidden = without_users(text[:chars])
    cut = _CUT.search(hidden) if len(text) > chars else None
    return hidden[: cut.end(1)] if cut else hidden


def holds_password(text: str) -> bool:
    """True where an address in ``text`` has a user and a password, or a port and an ``@`` behind it."""
    return any(_ANY_PASSWORD.search(part) for part in _UP_TO_AT.findall(text))


def _hidden(part: str) -> str:
    """``part``, which ends in an ``@`` and has no spaces, with its users hidden."""
    hidden = rf"\g<1>{HIDDEN}@"
    return _USER.sub(hidden, _PASSWORD.sub(hidden, part))
