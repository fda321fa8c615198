"""Who changes something, and from where: what events and the audit log keep of a caller."""

from typing import NamedTuple


class Origin(NamedTuple):
    """name: the actor's. address: the client's network address, as the trusted gateway names it. Both '' for what Haven
    does by itself."""

    name: str = ""
    address: str = ""


HAVEN = Origin()
